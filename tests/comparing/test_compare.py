"""The command compare on folders of finished runs: variants, figures over seeds, differences, two runs side by side, refusals."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path
from random import Random

import numpy as np
import pytest

from framework import Run, UserError
from framework.comparing.command import compare
from framework.comparing.comparison import compared, metric_of
from framework.comparing.variants import differing, finished_runs, variants, without_repetitions
from framework.runs.build import build_on_meta
from tests.comparing.folders import SMALL, composed, labelled, run_folder

ROOT = Path(__file__).parents[2]
RIGHT = {"learned": 0.75, "rotary": 0.76, "alibi": 0.93}
ROWS = 400


def task_of(name):
    return build_on_meta(composed((f"task={name}", *SMALL))[0])


@pytest.fixture(scope="module")
def classification():
    return task_of("classification")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory, classification):
    """Three variants with three seeds each: two of about the same accuracy, and one better."""
    root = tmp_path_factory.mktemp("sweep")
    for number, (position, right) in enumerate(RIGHT.items()):
        for seed in range(3):
            rows = labelled(ROWS, right, 10 * number + seed, shared=0.7)
            words = (f"model/position={position}", f"seed={seed}")
            run_folder(root / "deep" / position, f"{position}-{seed}", words, rows, classification, cpu_seconds=10.0, checksums={"test": 7})
    (root / "last").symlink_to(root / "deep/alibi/alibi-2")  # not a second run
    return root


def found(root, columns=None, metric=None):
    runs = without_repetitions(finished_runs([root]))
    keys = columns or differing(runs)
    return compared(runs, keys, variants(runs, keys), metric_of(runs, metric))


def test_a_sweep(sweep):
    comparison = found(sweep)
    assert comparison.columns == ["model/position"] and not comparison.lower and comparison.rows == ROWS
    assert comparison.metric == "test/accuracy"  # the one that is monitored, on the test rows
    values = {variant.values[0]: trainings for variant, trainings in zip(comparison.variants, comparison.trainings, strict=True)}
    for position in RIGHT:
        each = [Run.open(sweep / "deep" / position / f"{position}-{seed}").results()["test/accuracy"] for seed in range(3)]
        assert values[position].values.tolist() == each
        assert (values[position].mean, values[position].deviation) == pytest.approx((np.mean(each), np.std(each, ddof=1)))
    assert comparison.variants[comparison.best].values == ("alibi",)
    assert {(comparison.variants[p.one].label, comparison.variants[p.other].label): p.differs for p in comparison.pairs} == {
        ("alibi", "learned"): True,
        ("alibi", "rotary"): True,
        ("learned", "rotary"): False,
    }
    for trainings, ends in zip(comparison.trainings, comparison.intervals, strict=True):
        assert ends[0] < trainings.mean < ends[1]


def test_what_is_printed(sweep):
    text = compare([str(sweep)])
    head, *rows = text.split("\n\n")[0].splitlines()
    assert head.split()[:4] == ["model/position", "seeds", "test/accuracy", "sd"]
    (best,) = [row for row in rows if "*" in row]
    assert best.split()[0] == "alibi" and best.split()[-3:] == ["1,000", "10", "500"]
    for said in ("400 rows and 3 seeds", "3 comparisons", "not more than noise"):
        assert said in text
    (line,) = [line for line in text.splitlines() if "is better than" in line]
    assert line.startswith("  alibi is better") and "learned (by" in line and "rotary (by" in line
    assert "seeds were not compared" not in text


def test_files(sweep, tmp_path, classification):
    compare([str(sweep), f"to={tmp_path / 'x.csv'}", "metric=f1"])
    rows = {row["model/position"]: row for row in csv.DictReader((tmp_path / "x.csv").read_text().splitlines())}
    assert list(rows) == ["alibi", "learned", "rotary"] and [row["best"] for row in rows.values()] == ["true", "false", "false"]
    assert float(rows["rotary"]["difference from best"]) < 0 and float(rows["rotary"]["adjusted p"]) < 0.05
    assert float(rows["rotary"]["difference high"]) < 0 and rows["alibi"]["p"] == ""
    means = [Run.open(sweep / "deep/rotary" / f"rotary-{seed}").results()["test/f1"] for seed in range(3)]
    assert float(rows["rotary"]["test/f1 mean"]) == pytest.approx(np.mean(means), abs=1e-5)
    assert rows["rotary"]["runs"].split() == ["rotary-0", "rotary-1", "rotary-2"] and rows["rotary"]["tokens"] == "500"
    compare([str(sweep), f"to={tmp_path / 'x.md'}"])
    first, rule, *_ = (tmp_path / "x.md").read_text().splitlines()
    assert first.startswith("| model/position | seeds |") and set(rule) <= set("|-: ")


def test_figures_without_rows_are_compared_over_seeds_alone(sweep):
    comparison = found(sweep, metric="test/loss")
    assert comparison.lower and all(pair.test is not None for pair in comparison.pairs)  # the same rows, by the checksums of the data
    assert any("no rows for test/loss" in remark for remark in comparison.remarks)


@pytest.fixture(scope="module")
def grid(tmp_path_factory, classification):
    """Two dropouts that make a difference of two points, at two sizes that make one of ten; one seed."""
    root = tmp_path_factory.mktemp("grid")
    for dim, size in ((8, 0.7), (16, 0.8)):
        for dropout, gain in ((0.1, 0.0), (0.2, 0.03)):
            words = (f"model.dim={dim}", f"model.dropout={dropout}", "seed=1")
            run_folder(root, f"{dim}-{dropout}", words, labelled(3000, size + gain, 5, shared=1.0), classification)
    return root


def test_by_groups_what_else_differs_and_pairs_it(grid):
    assert found(grid).columns == ["model.dim", "model.dropout"]
    comparison = found(grid, ["model.dropout"])
    assert [len(variant.runs) for variant in comparison.variants] == [2, 2]
    (pair,) = comparison.pairs
    assert pair.test.trainings and pair.test.difference == pytest.approx(-0.03, abs=0.01)
    assert abs(pair.test.interval[1] - pair.test.interval[0]) < 0.2  # of differences of the same size, not of sizes


def test_one_seed_is_a_comparison_of_trained_models(grid):
    text = compare([str(grid)])
    assert "seeds were not compared" in text and "1 seed" in text


def test_other_rows_are_compared_by_figures_alone(tmp_path, classification):
    for number, (position, count) in enumerate((("learned", 50), ("rotary", 60))):
        run_folder(tmp_path, position, (f"model/position={position}", "seed=0"), labelled(count, 0.8, number), classification)
    text = compare([str(tmp_path), "by=model/position"])
    assert "1 of 1 pairs have no rows in common" in text and "better" not in text
    assert "no rows in common" in compare([str(tmp_path / "learned"), str(tmp_path / "rotary")])


def test_two_runs_side_by_side(sweep, tmp_path):
    one, other = (sweep / "deep/alibi/alibi-0", sweep / "deep/learned/learned-1")
    text = compare([str(one), str(other), f"to={tmp_path / 'x.md'}"])
    lines = [line.split() for line in text.splitlines()]
    assert ["model/position", "alibi", "learned"] in lines and ["seed", "0", "1"] in lines
    figures = [Run.open(run).results()["test/accuracy"] for run in (one, other)]
    (line,) = [line for line in lines if line[:1] == ["test/accuracy"]]
    assert f"{figures[0] - figures[1]:+.4f}" in line and float(line[-1]) < 0.01
    rows = [[json.loads(row) for row in (run / "predictions.jsonl").read_text().splitlines()] for run in (one, other)]
    right = [[row["prediction"] == row["reference"] for row in run] for run in rows]
    better = {number for number, (first, second) in enumerate(zip(*right, strict=True)) if first and not second}
    first = text[text.index("first run is better") : text.index("second run is better")]
    shown = {int(line.split()[1]) for line in first.splitlines() if line.startswith("  row")}
    assert len(shown) == 5 and shown <= better
    assert (tmp_path / "x.md").read_text().startswith("| ")


def test_translations_are_ranked_by_their_part_of_bleu(tmp_path):
    task, draw = task_of("translation"), Random(0)
    references = [" ".join(draw.choices("the old house sees a new child and book".split(), k=8)) for _ in range(40)]
    for name, wrong in (("one", range(0, 40, 4)), ("other", range(0, 40, 2))):
        texts = ["x y z" if number in wrong else reference for number, reference in enumerate(references)]
        rows = [{"input": str(n), "reference": references[n], "prediction": text} for n, text in enumerate(texts)]
        run_folder(tmp_path, name, ("seed=0",), rows, task)
    text = compare([str(tmp_path / "one"), str(tmp_path / "other"), "metric=bleu"])
    shown = [int(line.split()[1]) for line in text.splitlines() if line.startswith("  row")]
    assert len(shown) == 5 and all(number % 4 == 2 for number in shown)
    assert "second run is better: none" in text


def test_what_the_rows_chose_makes_no_variant(tmp_path, classification):
    for seed, length in enumerate((16, 32, 16)):
        settings = [f"model.max_length {length}: 97% of the texts whole"]
        words = ("model/position=rotary", f"seed={seed}")
        run = Run(run_folder(tmp_path, f"{seed}", words, labelled(30, 0.8, seed), classification, settings=settings))
        config = run.saved_config()
        run.save_config({**config, "model": {**config["model"], "max_length": length}})
    runs = finished_runs([tmp_path])
    assert differing(runs) == [] and len(variants(runs, [])) == 1


@pytest.fixture
def folds(tmp_path, classification):
    for norm, right in (("rms", 0.9), ("layer", 0.6)):
        for fold in (1, 2, 3):
            words = (f"model/norm={norm}", "data=files", "data.train=x.csv", "data.folds=3", f"data.fold={fold}", "seed=0")
            run_folder(tmp_path, f"{norm}-{fold}", words, labelled(200, right, fold, shared=0.5), classification, checksums={"test": fold})
    return tmp_path


def test_folds_are_no_variants(folds):
    comparison = found(folds)
    assert comparison.columns == ["model/norm"] and [len(variant.runs) for variant in comparison.variants] == [3, 3]
    assert [each.overlap for each in comparison.trainings] == [0.5, 0.5] and [pair.differs for pair in comparison.pairs] == [True]
    text = compare([str(folds)])
    assert text.split()[1] == "folds" and "3 folds" in text and "seeds" not in text


def test_what_is_left_out_is_named(tmp_path, classification, capsys):
    good = [run_folder(tmp_path, f"good-{seed}", (f"seed={seed}",), labelled(30, 0.8, seed), classification) for seed in (0, 1)]
    run_folder(tmp_path, "again-0", ("seed=0",), labelled(30, 0.8, 0), classification)
    unfinished = run_folder(tmp_path, "unfinished", ("seed=2",), labelled(30, 0.8, 2), classification, state="failed")
    (unfinished / "metrics.json").unlink()
    damaged = run_folder(tmp_path, "damaged", ("seed=3",), labelled(30, 0.8, 3), classification)
    (damaged / "run.json").write_text("[")
    runs = without_repetitions(finished_runs([tmp_path, good[0]]))  # found twice, counted once
    assert [run.name for run in runs] == ["good-0", "good-1"]
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3 and all(any(name in line for line in said) for name in ("again-0", "unfinished", "damaged"))


@pytest.fixture
def two(tmp_path, classification):
    return [str(run_folder(tmp_path, f"r{seed}", (f"seed={seed}",), labelled(30, 0.8, seed), classification)) for seed in (0, 1)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (lambda two: [], "needs a folder"),
        (lambda two: ["nowhere"], "nowhere: there is no such folder"),
        (lambda two: [str(ROOT / "docs")], "no finished run"),
        (lambda two: two[:1], "two or more"),
        (lambda two: [*two, "bye=x"], "bye=x: compare takes"),
        (lambda two: [*two, "by=model.dmi"], "by=model.dmi.*did you mean 'model.dim'"),
        (lambda two: [*two, "metric=accurcy"], "metric=test/accurcy.*did you mean 'test/accuracy'"),
        (lambda two: [*two, "to=x.txt"], "to=x.txt"),
        (lambda two: [*two, "to=x.csv"], "to=x.csv.*md"),
        (lambda two: [*two, f"to={ROOT}/README.md/x.md"], "README.md/x.md cannot be written"),
    ],
)
def test_refusals(two, words, said):
    with pytest.raises(UserError, match=said):
        compare(words(two))


@pytest.mark.parametrize("line", ["[1]", "{", '{"prediction": "a"}', '{"row": 0, "prediction": "a"}'])
def test_damaged_rows_are_refused_with_their_place(two, line):
    path = Path(two[0]) / "predictions.jsonl"
    path.write_text(f"{line}\n")
    with pytest.raises(UserError, match="predictions.jsonl"):
        compare(two)


def test_runs_of_two_tasks_are_refused(two, tmp_path):
    rows = [{"input": "a", "reference": "a", "prediction": "a"}] * 12
    run_folder(tmp_path, "translated", ("seed=0",), rows, task_of("translation"))
    with pytest.raises(UserError, match="classification, translation"):
        compare([str(tmp_path)])


def test_the_command(two, tmp_path):
    command = [sys.executable, "-m", "framework", "compare"]
    done = subprocess.run([*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "test/accuracy" in done.stdout
    progress = re.compile(r"[a-z ]+ \(\d+:\d\d\)")  # on a slow machine, or where a source has changed
    assert all(progress.fullmatch(line) for line in done.stderr.splitlines()), done.stderr
    code = "import sys; sys.argv = ['x']; from framework.__main__ import main\n"
    code += "code = main(['compare', 'nowhere']); print(code, 'torch' in sys.modules)"
    refused = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert refused.stdout.split() == ["2", "False"] and "nowhere" in refused.stderr
