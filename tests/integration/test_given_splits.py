"""Runs of every task with and without validation and test data: they end regularly, and their figures can be computed again."""

import itertools
import json
import random
from pathlib import Path

import pytest

from tests.integration.conftest import MODEL, train

QUICK = [*MODEL, "trainer.max_steps=1", "trainer.max_epochs=1", "callbacks.progress.style=off", "logger=none", "effort=fixed"]
WORDS = {
    "classification": ["task=classification"],
    "ner": ["task=ner", "task.format.overlap=4"],
    "completion": ["task=completion", "data.text_unit=line", "data.batches.rows=4"],
    "translation": ["task=translation", "data.columns.source=0", "data.columns.target=1", "task.decoding.max_new_tokens=4"],
    "summarization": ["task=summarization", "task.decoding.max_new_tokens=4"],
    "pretraining": ["task=pretraining", "data.text_unit=line", "data.batches.rows=4"],
}
ENDINGS = {"classification": "csv", "ner": "conll", "translation": "tsv", "summarization": "jsonl"}
GIVEN = list(itertools.product([True, False], [True, False], [0, 0.2]))  # validation, test, share


def write(path: Path, rows: int) -> str:
    """A file with rows of the task that its ending says. Returns its name."""
    draw = random.Random(path.name)
    texts = [" ".join(draw.choices("old new house child book sees and".split(), k=draw.randint(4, 9))) for _ in range(rows)]
    lines = {
        ".csv": ["text,label", *(f"{text},{'good' if number % 2 else 'bad'}" for number, text in enumerate(texts))],
        ".conll": [f"{text.replace(' ', ' O' + chr(10))} B-{'who' if number % 2 else 'what'}\n" for number, text in enumerate(texts)],
        ".tsv": [f"{text}\t{text.upper()}" for text in texts],
        ".jsonl": [json.dumps({"document": text, "summary": text[:9]}) for text in texts],
        ".txt": texts,
    }
    path.write_text("\n".join([*lines[path.suffix], ""]))
    return path.name


def words_of(task: str, folder: Path, validation: bool, test: bool, share: float) -> list[str]:
    ending = ENDINGS.get(task, "txt")
    given = {"train": True, "validation": validation, "test": test}
    files = [f"data.{split}={write(folder / f'{split}.{ending}', 12)}" for split, is_given in given.items() if is_given]
    return [*WORDS[task], "data=files", *files, f"data.validation_share={share}", *QUICK]


def check(task: str, folder: Path, validation: bool, test: bool, share: float) -> None:
    run = train(*words_of(task, folder, validation, test, share))
    figures = json.loads((run / "metrics.json").read_text())
    measured = {name.partition("/")[0] for name in figures} - {"baseline", "difference", "low", "high"}
    validated = validation or share > 0
    assert measured == {split for split, has in (("validation", validated), ("test", test)) if has}
    written = run / "predictions.jsonl"
    assert written.exists() == (validated or test)
    if written.exists():
        rows = [json.loads(line) for line in written.read_text().splitlines()]
        split = "test" if test else "validation"
        assert len(rows) == (12 if test or validation else round(12 * share)) or task in ("completion", "pretraining")
        if task == "classification":
            accuracy = sum(row["prediction"] == row["reference"] for row in rows) / len(rows)
            assert figures[f"{split}/accuracy"] == pytest.approx(accuracy)


@pytest.mark.matrix(0)
@pytest.mark.parametrize(("validation", "test", "share"), GIVEN)
def test_classification(project, validation, test, share):
    check("classification", project, validation, test, share)


@pytest.mark.matrix(0)
@pytest.mark.parametrize("share", [0, 0.2])
@pytest.mark.parametrize("task", sorted({*WORDS} - {"classification"}))
def test_every_task_without_a_test_part(project, task, share):
    check(task, project, False, False, share)
