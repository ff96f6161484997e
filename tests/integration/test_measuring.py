"""Evaluation of a trained run on its own split of the rows, or on the rows that overrides name, whatever their layout."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from framework.__main__ import main
from framework.cli.train import main as train_main
from framework.runs.build import prepare_data
from framework.runs.folder import Run
from framework.runs.resume import changed
from framework.workflows.measuring import measured_data
from tests.integration.conftest import MODEL, train

ROWS = [(f"{word} text number {number}", "good" if word == "fine" else "bad") for number in range(30) for word in ("fine", "dull")]
OTHER = [("quite fine", "good"), ("so dull", "bad"), ("rather odd", "mixed")]
WORDS = ["task=classification", "data=files", "data.train=rows.csv", "data.validation_share=0.2", "data.test_share=0.1", *MODEL]
WORDS += ["trainer.max_epochs=1", "callbacks.progress.style=off", "logger=none"]


def table(rows, delimiter=",", header=("text", "label")) -> str:
    return "".join(f"{delimiter.join(row)}\n" for row in ([header] if header else []) + rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("measured")
    (folder / "rows.csv").write_text(table(ROWS))
    (folder / "other.csv").write_text(table(OTHER))
    (folder / "other.tsv").write_text(table([(label, text) for text, label in OTHER], "\t", None))
    objects = [{"review": text, "stars": label} for text, label in OTHER]
    (folder / "other.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in objects))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def run(folder) -> Run:
    return Run.open(train(*WORDS))


def measured(run: Run, *words: str) -> dict[str, list[tuple[str, str]]]:
    """split -> the rows that `evaluate` measures."""
    prepared = measured_data(run, changed(run, words, [], training=False), words)
    return {split: [(row["text"], row["label"]) for row in data.rows(split)] for split, data in prepared}


def own(run: Run) -> dict[str, list[tuple[str, str]]]:
    data = prepare_data(run.config())
    return {split: [(row["text"], row["label"]) for row in data.rows(split)] for split in data.splits}


LAYOUTS = {
    "a file like the run's": ["data.test=other.csv"],
    "another layout": ["data.test=other.tsv", "data.kind=tsv", "data.header=false", "data.columns={text: 1, label: 0}"],
    "a mapping": ["data.test={path: other.jsonl, columns: {text: review, label: stars}}"],
    "a mapping with everything": ["data.test={path: other.tsv, kind: tsv, header: false, columns: {text: -1, label: 0}}"],
    "another source": ["data=files", "data.test=other.csv"],
}


@pytest.mark.parametrize("words", LAYOUTS.values(), ids=LAYOUTS)
def test_other_test_rows_leave_the_validation_rows_of_the_run(run, words, capsys):
    known = own(run)
    found = measured(run, *words)
    assert found == {"validation": known["validation"], "test": OTHER}
    assert not {*found["validation"]} & {*known["train"]}
    said = capsys.readouterr().err.splitlines()
    assert "12 rows, the run's own" in said[0] and said[1].endswith(f"3 rows, by {' '.join(words)}")
    assert "lack, once: 'mixed'" in said[2]


def test_without_overrides_the_rows_are_the_runs_own(run):
    known = own(run)
    assert measured(run) == {split: known[split] for split in ("validation", "test")}
    assert [len(known[split]) for split in ("train", "validation", "test")] == [42, 12, 6]


def test_a_label_without_a_class_is_an_error(run, capsys):
    assert main(["evaluate", str(run.folder), "data.test=other.csv"]) == 0
    figures = {name: float(value) for name, value in (line.split() for line in capsys.readouterr().out.splitlines())}
    asked = [f"text={text}" for text, _ in OTHER]
    assert main(["predict", str(run.folder), *asked]) == 0
    told = [json.loads(line)["prediction"] for line in capsys.readouterr().out.splitlines()]
    assert figures["test/accuracy"] == pytest.approx(sum(one == label for one, (_, label) in zip(told, OTHER, strict=True)) / 3, abs=1e-5)
    assert figures["validation/accuracy"] == pytest.approx(run.results()["validation/accuracy"], abs=1e-5)
    assert main(["evaluate", str(run.folder), "data.test=other.csv", "task.format.unseen_labels=refuse"]) == 2
    assert "other.csv, line 4: label 'mixed' does not occur" in capsys.readouterr().err


def test_no_training_file_is_needed_for_other_rows(run, folder, capsys):
    (folder / "rows.csv").rename(folder / "gone.csv")
    try:
        assert measured(run, "data.test=other.csv") == {"test": OTHER}
        assert "validation is left out: rows.csv does not exist" in capsys.readouterr().err
        assert main(["evaluate", str(run.folder)]) == 2
        assert "rows.csv does not exist" in capsys.readouterr().err
        (folder / "moved").mkdir()
        (folder / "gone.csv").rename(folder / "moved" / "rows.csv")
        moved = measured(run, "data.folder=moved")
    finally:
        (folder / "moved" / "rows.csv").rename(folder / "rows.csv")
    assert moved == measured(run)


@pytest.mark.parametrize("word", ["data.validation_share=0.5", "data.test_share=0", "data.split=last", "seed=1"])
def test_training_rows_are_not_divided_anew(run, word, capsys):
    assert main(["evaluate", str(run.folder), word]) == 2
    message = capsys.readouterr().err
    assert word.partition("=")[0] in message and "data.test=FILE" in message


@pytest.mark.parametrize(
    ("rows", "words", "same"),
    [(ROWS[::-1], [], False), ([*ROWS, *ROWS[:10]], [], False), (ROWS, [], True), (ROWS, ["data.limit=5"], True)],
    ids=["another order", "more rows", "the same", "a sample of them"],
)
def test_changed_files_are_remarked(run, folder, capsys, rows, words, same):
    (folder / "again.csv").write_text(table(rows))
    measured(run, "data.train=again.csv", *words)
    said = capsys.readouterr().err
    assert ("the run's own" in said) == same and ("not those of the run" in said) == (not same)


def test_a_run_is_trained_with_options_for_each_split(folder):
    splits = ["data.test={path: other.jsonl, columns: {text: review, label: stars}}", "data.validation_share=0.1"]
    run = Run.open(train(*(word for word in WORDS if "share" not in word), *splits))
    assert run.sizes()["test"]["rows"] == 3 and run.sizes()["train"]["rows"] == 54
    assert run.label_counts()["test"] == {"bad": 1, "good": 1, "mixed": 1}
    assert yaml.safe_load((run.folder / "config.yaml").read_text())["data"]["test"]["path"] == "other.jsonl"
    assert measured(run)["test"] == OTHER


@pytest.mark.matrix(0.5, axes=())
@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("data.test={path: other.jsonl, kidn: jsonl}", "data.test has no option 'kidn' (did you mean 'kind'?)"),
        ("data.test={kind: jsonl}", "names no file"),
        ("data.test={path: other.jsonl, kind: jsonll}", "data.test.kind='jsonll' is not of the type of data.kind"),
        ("data.test={path: 3}", "data.test.path=3 is not of the type"),
        ("data.test={path: other.tsv, columns: {text: 1.5}}", "data.test.columns={'text': 1.5} is not of the type"),
        ("data.test={path: other.jsonl, header: 1}", "data.test.header=1 is not of the type"),
        ("data.test={path: other.jsonl, columns: {txet: review}}", "has no column 'txet' (did you mean 'text'?)"),
        ("data.test={path: nothing.jsonl}", "nothing.jsonl does not exist"),
    ],
)
def test_wrong_options_of_a_split_are_refused(folder, capsys, word, said):
    assert train_main([*WORDS, word]) == 2
    assert said in capsys.readouterr().err
