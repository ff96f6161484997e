"""Rows whose prompt is read and never learned."""

import json
from random import Random

import pytest
import torch

from framework.data.formats import Batch, BatchRows
from framework.data.sources.files import FilesData
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.generation.engine import Decode
from framework.generation.strategy import Greedy
from framework.models.decoder_only import DecoderOnlyModel
from framework.registry import Part
from framework.tasks.base import BaselineData
from framework.tasks.cross_entropy import IGNORED
from plugins.completion.prompted import PromptedFormat, signatures
from plugins.completion.task import CompletionTask
from tests.letters import Letters

SPEC = DataSpec(vocab_size=300, max_length=12, padding=0, begin=1, end=2)


def encoded(prompt: str, completion: str | None = None, **options):
    row = {"prompt": prompt} if completion is None else {"prompt": prompt, "completion": completion}
    return PromptedFormat(**options).encode(row, Letters(), SPEC)


def letters(*words: str | int) -> list[int]:
    return [id for word in words for id in ([word] if isinstance(word, int) else map(ord, word))]


def test_a_row_is_prompt_mark_completion_end() -> None:
    assert encoded("ab", "é d") == {
        "ids": letters("ab", 1, "é d", 2),
        "bytes": [0, 0, 0, 2, 1, 1, 0],
        "words": [0, 0, 0, 1, 0, 1, 0],
        "prompt": 3,
        "@truncated": False,
    }
    assert encoded("ab", "c", marked=False)["ids"] == letters("ab", "c", 2)
    assert encoded("", "c")["ids"] == letters(1, "c", 2)
    assert encoded("ab", "")["ids"] == letters("ab", 1, 2)


def test_a_prompt_alone_is_one_to_predict_of() -> None:
    assert encoded("ab") == {"ids": letters("ab", 1), "bytes": [0] * 3, "words": [0] * 3, "prompt": 3, "@truncated": False}
    assert PromptedFormat().from_text("ab") == {"prompt": "ab"}
    assert encoded("", marked=False) is None
    assert encoded("", "", marked=False) is None  # nothing stands before the end


def test_a_prompt_loses_its_beginning_then_a_completion_its_end() -> None:
    """12 tokens are read: of 13 the last is only predicted."""
    whole = encoded("abcd", "efghijk")
    assert (len(whole["ids"]), whole["@truncated"]) == (13, 0)
    shorter = encoded("abcdefgh", "0123")
    assert (shorter["ids"], shorter["@truncated"]) == (letters("bcdefgh", 1, "0123", 2), 1)
    both = encoded("abcdefgh", "0123456789")
    assert (both["ids"], both["@truncated"]) == (letters("cdefgh", 1, "012345"), 1)  # it does not end there
    assert [len(both[name]) for name in ("bytes", "words")] == [13, 13]
    assert encoded("abcdefghijklmnopq")["ids"] == letters("fghijklmnopq", 1)


def test_a_long_row_can_be_refused() -> None:
    with pytest.raises(ValueError, match=r"have 14 tokens together, the model takes 12 \(model.max_length=12\)"):
        encoded("abcdef", "ghijklm", long="refuse")


@pytest.mark.parametrize("missing, advice", [("end", "end token"), ("begin", "task.format.marked=false")])
def test_special_tokens_that_are_needed(missing, advice) -> None:
    spec = DataSpec(**{**vars(SPEC), missing: None})
    with pytest.raises(UserError, match=advice):
        PromptedFormat().encode({"prompt": "a", "completion": "b"}, Letters(), spec)


def test_a_prompt_has_no_targets() -> None:
    batch = PromptedFormat().collate([encoded("ab", "cd"), encoded("a", "é")], SPEC, Random(0))
    assert batch["targets"].tolist() == [[-100, -100, *letters("cd", 2)], [-100, *letters("é", 2), -100, -100]]
    assert batch["bytes"].sum(1).tolist() == [2, 2]
    assert batch["words"].sum(1).tolist() == [1, 1]
    assert batch["prompt"].tolist() == [3, 2]


@pytest.fixture(scope="module")
def task() -> CompletionTask:
    torch.manual_seed(0)
    model = Part(DecoderOnlyModel, dim=16, num_heads=2, num_layers=2, max_length=12, initial_std=0.4)
    return CompletionTask(model, SPEC, PromptedFormat()).double().eval()


def batch_of(*rows) -> Batch:
    return {**PromptedFormat().collate([encoded(*row) for row in rows], SPEC, Random(0)), "@rows": BatchRows(list(range(len(rows))))}


@torch.no_grad()
def test_the_loss_is_of_completions_alone(task) -> None:
    expected, rows = 0.0, [("ab", "cd"), ("abcde", "f"), ("", "xyz")]
    for prompt, completion in rows:
        ids = letters(prompt, 1, completion, 2)
        scores = task.model.logits(task.model(torch.tensor([ids[:-1]])))[0].log_softmax(-1)
        expected -= sum(float(scores[place - 1, ids[place]]) for place in range(len(prompt) + 1, len(ids)))
    result = task(batch_of(*rows))
    assert (float(result.loss), int(result.weight)) == (pytest.approx(expected, abs=1e-9), 3 + 2 + 4)


@torch.no_grad()
def test_a_completion_is_written_from_its_prompt(task) -> None:
    decode = Decode(Greedy(max_new_tokens=4), Letters().decode, SPEC.end)
    _, rows = task.evaluate(batch_of(("ab", "cd"), ("abcde", "f")), decode)
    assert [(row["input"], row["reference"]) for row in rows] == [("ab", "cd"), ("abcde", "f")]
    for given in (batch_of(("ab", "cd"), ("abcde", "f")), batch_of(("ab",), ("abcde",))):  # what stands there plays no part
        found = task.predict(given, decode)
        for row, prompt in zip(found, ("ab", "abcde"), strict=True):
            alone = decode(task.model, torch.tensor([letters(prompt, 1)]))[0][0]
            assert row == {"input": prompt, "prediction": alone.text, "score": pytest.approx(alone.score, abs=1e-9)}
    assert task.predict({**batch_of(("ab",)), "@rows": BatchRows([0], [{"prompt": "as given"}])}, decode)[0]["input"] == "as given"
    assert (batch_of(("ab",))["targets"] == IGNORED).all()


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv"])
def test_json_lines_and_csv(tmp_path, name) -> None:
    rows = [{"prompt": "2 + 2 =", "completion": " 4"}, {"prompt": 'say "a, b"', "completion": "a,\nb"}]
    as_csv = 'prompt,completion\n2 + 2 =, 4\n"say ""a, b""","a,\nb"\n'
    text = as_csv if name.endswith("csv") else "".join(f"{json.dumps(row)}\n" for row in rows)
    (tmp_path / name).write_text(text)
    source = FilesData(PromptedFormat(), 0, str(tmp_path), train=name, validation_share=0.0)
    source.check()
    assert [row for row, _ in source.rows("train")] == rows


def test_builtin_rows_are_signatures_and_what_they_are_for(tmp_path) -> None:
    for number in range(40):
        functions = [f'def f{n}(a, *, b={n}):\n    """Does {n}.\n\n    At length."""\n' for n in range(5 * number, 5 * number + 5)]
        (tmp_path / f"m{number}.py").write_text("\n".join([*functions, "def bare(): pass\n"]))
    (tmp_path / "twice.py").write_text('async def f0(a, *, b=0):\n    "Does 0."\n')
    (tmp_path / "broken.py").write_text("def (:\n")
    rows = {split: list(signatures(split, 2000, tmp_path)) for split in ("train", "validation", "test")}
    assert {"prompt": "def f7(a, *, b=7):", "completion": "Does 7."} in [row for split in rows.values() for row in split]
    assert sum(map(len, rows.values())) == 200 and all(rows.values())
    texts = {split: {row["completion"] for row in rows[split]} for split in rows}
    assert not texts["train"] & (texts["validation"] | texts["test"])
    assert rows["train"][:9] == list(signatures("train", 9, tmp_path))
    assert rows["test"][:3] == list(signatures("test", 30, tmp_path))  # a tenth


def test_the_baseline_is_of_completions(task: CompletionTask) -> None:
    rows = [{"prompt": "never read", "completion": "abab"}]
    other = [{"prompt": "", "completion": "abab"}]
    assert task.baseline(BaselineData(rows, rows)) == task.baseline(BaselineData(other, rows))


def test_a_written_row_does_not_depend_on_its_company(task: CompletionTask) -> None:
    """The reference of another row, or its own, is no limit of what is generated; running text is continued by its own half."""
    decode = Decode(Greedy(max_new_tokens=5), lambda ids: " ".join(map(str, ids)), None, None, 3)
    rows = [("ab", "c"), ("b", "cdefgh"), ("abc", "de")]
    _, together = task.evaluate(batch_of(*rows), decode)
    alone = [task.evaluate(batch_of(row), decode)[1][0] for row in rows]
    predicted = task.predict(batch_of(*rows), decode)
    assert [row["prediction"] for row in together] == [row["prediction"] for row in alone] == [row["prediction"] for row in predicted]
    assert {len(row["prediction"].split()) for row in together} == {5}
