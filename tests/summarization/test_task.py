"""Summarization: documents with one summary or several, the rows it writes, figures made of them."""

from random import Random
from typing import Any

import pytest
import torch

from framework.data.formats import Batch, BatchRows
from framework.data.spec import DataSpec
from framework.generation.engine import Decode
from framework.generation.strategy import Greedy
from framework.metrics.rouge import SCORES, Rouge
from framework.models.encoder_decoder import EncoderDecoderModel
from framework.registry import Part, broken
from framework.tasks.base import BaselineData
from framework.tasks.resampled import figures_of
from plugins.summarization.data import SummarizationFormat
from plugins.summarization.task import SummarizationTask
from tests.letters import Letters

SPEC = DataSpec(vocab_size=128, max_length=80, padding=0, begin=1, end=2)
ROWS: list[dict[str, Any]] = [
    {"document": "the cat sat on the mat", "summary": "cat sat"},
    {"document": "rain", "summary": ["it rains", "rain"]},
    {"document": "a dog runs", "summary": "dog"},
]


def make(**options: Any) -> SummarizationTask:
    torch.manual_seed(0)
    model = Part(EncoderDecoderModel, dim=16, num_heads=2, num_layers=1, max_length=SPEC.max_length, initial_std=0.5)
    return SummarizationTask(model=model, spec=SPEC, format=SummarizationFormat(), **options).double().eval()


def batch_of(rows: list[dict[str, Any]] = ROWS) -> Batch:
    format = SummarizationFormat()
    batch = format.collate([format.encode(row, Letters(), SPEC) for row in rows], SPEC, Random(0))
    return {**batch, "@rows": BatchRows(list(range(len(rows))), rows)}


def decode(max_length: int | None = None) -> Decode:
    return Decode(Greedy(max_length), Letters().decode, SPEC.end)


def test_documents_and_summaries_are_sources_and_targets() -> None:
    format = SummarizationFormat()
    assert format.encode({"document": "ab", "summary": "c"}, Letters(), SPEC) == {
        "@truncated": False,
        "source": [97, 98, 2],
        "target": [99, 2],
    }
    assert format.encode({"document": "ab" * 60, "summary": "c"}, Letters(), SPEC)["@truncated"] == 1
    assert format.from_text("ab") == {"document": "ab"}
    assert list(format.tokenizer_texts({"document": "a", "summary": ["b", "c"]})) == ["a", "b", "c"]


def test_the_loss_is_that_of_the_first_summary() -> None:
    first = [{**row, "summary": text} for row, text in zip(ROWS, ["cat sat", "it rains", "dog"], strict=True)]
    assert batch_of()["labels"].tolist() == batch_of(first)["labels"].tolist()


@pytest.mark.parametrize("summary", [[], ["a", None], 3])
def test_what_is_no_summary_is_refused(summary: Any) -> None:
    with pytest.raises(ValueError, match="'summary' must be a text or a list of texts"):
        SummarizationFormat().encode({"document": "a", "summary": summary}, Letters(), SPEC)


def test_what_is_no_document_is_refused() -> None:
    with pytest.raises(ValueError, match="'document' must be a text, and is 3 of type int"):
        SummarizationFormat().encode({"document": 3, "summary": "a"}, Letters(), SPEC)


@torch.no_grad()
def test_rows_have_all_references_and_figures_are_made_of_them() -> None:
    task = make(references="mean", stem=False)
    result, rows = task.evaluate(batch_of(), decode(max_length=9))
    assert [row["reference"] for row in rows] == [row["summary"] for row in ROWS] and int(result.weight) == 8 + 9 + 4
    assert [row["input"] for row in rows] == [row["document"] for row in ROWS]
    rows = [{**row, "prediction": text} for row, text in zip(rows, ["the cat", "it rains", "dogs"], strict=True)]
    metrics, expected = task.metrics(), Rouge("mean", stem=False)
    task.update(metrics, rows[:2])
    task.update(metrics, rows[2:])
    expected.update(["the cat", "it rains", "dogs"], [row["summary"] for row in ROWS])
    assert list(metrics) == ["rouge"] and tuple(metrics["rouge"].compute()) == SCORES
    assert {name: float(value) for name, value in metrics["rouge"].compute().items()} == {
        name: float(value) for name, value in expected.compute().items()
    }
    assert float(expected.compute()["rouge1"]) == pytest.approx(100 * (0.5 + (1 + 0) / 2 + 0) / 3)


@torch.no_grad()
def test_a_summary_is_as_long_as_its_own_document_allows() -> None:
    """Whatever stands beside it; the untrained model writes on to the limit."""
    task = make(max_ratio=2.0, max_extra=1)
    endless = Decode(Greedy(), lambda ids: "x" * len(ids), None)
    rows = [{"document": "a" * length, "summary": "b"} for length in (3, 30, 14, 4)]  # 2 * (length + the end token) + 1
    expected = [32, 64, 32, 32]
    for start, stop in ((0, 4), (0, 2), (2, 4)):
        written = [row["prediction"] for row in task.predict(batch_of(rows[start:stop]), endless)]
        assert [len(text) for text in written] == expected[start:stop]
    task.max_ratio = None
    assert [len(row["prediction"]) for row in task.predict(batch_of(rows), endless)] == [80] * 4
    task.max_ratio = 9.0
    assert len(task.predict(batch_of(rows[1:2]), endless)[0]["prediction"]) == 80  # not further than the model reads


def test_limits_that_leave_nothing_are_refused() -> None:
    assert "max_extra must be at least 1" in broken(SummarizationTask.rules, {"label_smoothing": 0.1, "max_ratio": 1.0, "max_extra": 0})[0]
    assert (
        "max_ratio must not be negative" in broken(SummarizationTask.rules, {"label_smoothing": 0.1, "max_ratio": -1.0, "max_extra": 9})[0]
    )
    assert not broken(SummarizationTask.rules, {"label_smoothing": 0.1, "max_ratio": None, "max_extra": 9, "provided": {"cross"}})


def test_the_baseline_is_measured_as_the_task_is() -> None:
    train, test = [{"document": "", "summary": "a b"}], [{"document": "cats run fast", "summary": ["cat runs", "dogs sleep"]}]
    tasks = {stem: make(references="mean", stem=stem) for stem in (True, False)}
    found = {stem: figures_of(task, task.baseline(BaselineData(train, test))[""])["rouge1"] for stem, task in tasks.items()}
    assert found == {True: pytest.approx(50.0), False: 0.0}
