"""The command report on folders of runs: what is on the pages, the pictures, folders that are broken or not finished."""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from framework import Run, UserError
from framework.comparing.variants import flat
from framework.config.sweeping import identity
from framework.reporting.command import report, report_at_the_end
from framework.reporting.run_pictures import run_pictures
from framework.runs.build import build_on_meta
from framework.runs.sweep import Job, Ledger
from tests.comparing.folders import SMALL, composed, labelled, run_folder
from tests.export.runs import make_run

ROOT = Path(__file__).parents[2]


def written_metrics(folder, steps=(1, 2, 3)):
    """metrics.csv as a run writes it: training, validation, and the best checkpoint measured again at the last step."""
    rows = [{"step": step, "epoch": 0, "train/loss": 2.0 / step, "validation/loss": "", "validation/accuracy": ""} for step in steps]
    rows += [{"step": step, "epoch": 0, "train/loss": "", "validation/loss": 1 / step, "validation/accuracy": step / 4} for step in steps]
    rows.append({"step": steps[-1], "epoch": 1, "train/loss": "", "validation/loss": 0.9, "validation/accuracy": 0.9})
    with open(folder / "metrics.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with weights, predictions, curves, a confusion matrix, and labels that are no HTML."""
    folder = make_run(tmp_path_factory.mktemp("run"), "classification", spec={"labels": ("<b>", "good & bad")})
    labels = ("<b>", "good & bad")
    rows = [
        {
            "row": n,
            "input": f"a $text$ <{n}>",
            "reference": labels[n % 2],
            "prediction": labels[n % 2 if n % 5 else 0],
            "score": 0.5 + n / 100,
        }
        for n in range(40)
    ]
    made = Run(folder)
    made.predictions.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    figures = {"validation/accuracy": 0.8, "test/accuracy": 0.9, "low/test/accuracy": 0.8, "high/test/accuracy": 0.975}
    figures |= {"baseline/accuracy": 0.7, "difference/accuracy": 0.2, "low/difference/accuracy": 0.1, "high/difference/accuracy": 0.3}
    made.save_metrics(figures, "validation/accuracy", verdict="better than the baseline: so it is", costs={"parameters": 1234})
    made.save_notes({**made.notes(), "state": "finished", "begin": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:01:05Z"})
    (folder / "confusion.csv").write_text("reference,<b>,good & bad\n<b>,20,0\ngood & bad,4,16\n")
    (folder / "report.csv").write_text("label,precision,recall,f1,rows\n<b>,0.8333,1.0000,0.9091,20\ngood & bad,1.0000,0.8000,0.8889,20\n")
    written_metrics(folder)
    return folder


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.read_text()))


def check_page(page):
    """The page needs nothing but itself."""
    html = page.read_text()
    assert html.count("<html") == html.count("</html>") == 1 and "<script" not in html
    outside = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?!#|data:)([^"'\s>)]+)""", html)
    assert all(not target.startswith(("http", "//")) for target in outside), outside
    ids = re.findall(r'clip-path="url\(#([^)]+)\)"', html)
    assert ids and all(f'id="{name}"' in html for name in ids)


@pytest.fixture(scope="module")
def page(run, tmp_path_factory):
    to = tmp_path_factory.mktemp("page")
    return to, report([str(run), f"to={to}"])


def test_a_run(run, page):
    to, said = page
    check_page(to / "report.html")
    text = text_of(to / "report.html")
    for expected in (
        "better than the baseline: so it is",
        "0.9000 (0.8000 to 0.9750)",
        "+0.2000 (+0.1000 to +0.3000)",
        "1,234 parameters",
        "1:05 long",
        "&lt;b&gt;",
        "a $text$ &lt;35&gt;",
    ):
        assert expected in text, expected
    assert re.search(r"model\.dim 16 \d+ typed", text)
    assert "<b>" not in (to / "report.html").read_text()
    worst = text[text.index("Worst") : text.index("Attention")]
    assert re.findall(r"a \$text\$ &lt;(\d+)&gt;", worst) == ["35", "25", "15", "5"]  # the wrong ones, the surest first
    names = {path.stem for path in (to / "pictures").glob("*.png")}
    assert names >= {"curves", "figures", "confusion", "attention_encoder_self", "attention_encoder_self_heads", "moves"}
    assert all(name in said for name in names) and f"{to / 'report.html'}" in said
    for path in (to / "pictures").glob("*.png"):
        with Image.open(path) as image:
            assert len(image.getcolors(1 << 24)) > 10


def test_pictures_for_trackers(run, page):
    found = dict(run_pictures(run))
    assert found == {path.stem: path.read_bytes() for path in (page[0] / "pictures").glob("*.png")}  # the same, also byte by byte


def test_the_validation_at_the_end_is_no_point_of_the_curve(run):
    from framework.reporting.curves import read_curves, thinned

    curves = read_curves(run).figures
    assert curves["validation/accuracy"].values == [0.25, 0.5, 0.75] and curves["train/loss"].steps == [1, 2, 3]
    long = type(curves["train/loss"])(list(range(1000)), [float(n) for n in range(1000)])
    steps, values = thinned(long)
    assert len(steps) == 334 and steps[0] == values[0] == 1.0 and values[-1] == 999.0


@pytest.fixture
def undrawn(monkeypatch):
    """Pictures are made and not drawn, which takes most of the time."""

    def savefig(figure, target, format, **options):
        target.write('<svg viewBox="0 0 9 9"></svg>' if format == "svg" else b"png")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", savefig)


@pytest.fixture
def copy(run, tmp_path, undrawn):
    return Path(shutil.copytree(run, tmp_path / "run"))


BROKEN = {
    "no metrics": (lambda run: run.metrics.unlink(), "no final figures"),
    "no predictions": (lambda run: run.predictions.unlink(), "has no predicted rows"),
    "damaged predictions": (lambda run: run.predictions.write_text("{\n"), "line 1 is damaged"),
    "no weights": (lambda run: run.best.unlink(), "has no checkpoint"),
    "damaged weights": (lambda run: run.best.write_bytes(b"PK"), "neither attention nor embeddings"),
    "no tokenizer": (lambda run: run.tokenizer.unlink(), "tokenizer.json is missing"),
    "no curves": (lambda run: (run.folder / "metrics.csv").unlink(), "no metrics.csv"),
    "damaged curves": (lambda run: (run.folder / "metrics.csv").write_text("step,train/loss\nx,1\n"), "metrics.csv is damaged"),
    "damaged matrix": (lambda run: (run.folder / "confusion.csv").write_text("reference,a\nb,1\n"), "confusion.csv is damaged"),
    "damaged labels": (lambda run: (run.folder / "report.csv").write_text("a,b\nc\n"), "report.csv is damaged"),
    "of a part that is gone": (lambda run: run.save_config(_renamed(run)), "attention/gone"),
}


def _renamed(run):
    config = run.saved_config()
    config["model"]["attention"]["part"] = config["model"]["encoder"]["attention"]["part"] = "attention/gone"
    return config


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_missing_is_said(copy, name):
    change, said = BROKEN[name]
    change(Run(copy))
    try:
        report([str(copy)])
        assert said in text_of(copy / "report.html")
    except UserError as error:
        assert said in str(error)


def test_at_the_end_of_a_run(copy, capsys):
    run = Run(copy)
    run.save_notes({**run.notes(), "state": "running"})
    report_at_the_end(run)
    assert "; finished;" in text_of(copy / "report.html") and capsys.readouterr().err == ""
    run.predictions.write_text("{\n")
    (copy / "report.html").unlink()
    (copy / "report.html").mkdir()  # cannot be replaced by a file
    report_at_the_end(run)
    assert "the page of the run was not made" in capsys.readouterr().err


def test_report_makes_no_other_run():
    words = ["task=classification", "seed=0"]
    assert identity([*words, "report=true"]) == identity(words)
    config, chosen = composed(("task=classification", *SMALL))
    assert flat({**config, "report": True}, chosen) == flat(config, chosen)


def test_a_run_that_failed_early(tmp_path):
    config, chosen = composed(("task=classification", *SMALL))
    run = Run.create(tmp_path, "classification", config, ["task=classification"], chosen)
    run.save_notes({**run.notes(), "state": "failed", "error": "no such file <reviews.csv>"})
    said = report([str(run.folder)])
    text = text_of(run.folder / "report.html")
    assert "It failed: no such file &lt;reviews.csv&gt;" in text and "no final figures" in text and "no checkpoint" in said
    assert not (run.folder / "pictures").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "one run, or one folder"),
        (["nowhere"], "nowhere: there is no such folder"),
        ([str(ROOT / "docs")], "no run in it"),
        ([str(ROOT / "README.md")], "is a file"),
        (["runs", "metrc=x"], "metrc=x.*did you mean 'metric'"),
        (["runs", "more"], "one run, or one folder"),
    ],
)
def test_refusals(words, said):
    with pytest.raises(UserError, match=said):
        report(words)


def test_words_of_a_sweep_are_refused_for_a_run(run, undrawn):
    with pytest.raises(UserError, match="metric= is for a folder"):
        report([str(run), "metric=f1"])
    with pytest.raises(UserError, match="cannot be written|could not be written"):
        report([str(run), f"to={ROOT}/README.md/x"])


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Two variants of two seeds, one job that failed and one that is missing."""
    root = tmp_path_factory.mktemp("sweeps") / "positions"
    task = build_on_meta(composed(("task=classification", *SMALL))[0])
    ledger = Ledger(root, "positions")
    for number, (position, seed, right) in enumerate((("learned", 0, 0.7), ("learned", 1, 0.72), ("rotary", 0, 0.9), ("rotary", 1, 0.91))):
        words, name = (f"model/position={position}", f"seed={seed}"), f"{number}_position={position},seed={seed}"
        folder = run_folder(root, name, words, labelled(300, right, number, shared=0.5), task, cpu_seconds=10.0)
        written_metrics(folder)
        ledger.jobs.append(Job(name, words, "finished"))
    ledger.jobs += [Job("4_bad", ("x=1",), "failed", error="lr <0>", code=2), Job("5_left", ("x=2",))]
    (root / "sweep.json").write_text("{}")
    ledger.save()
    return root


def test_a_sweep(sweep):
    said = report([str(sweep)])
    check_page(sweep / "report.html")
    text = text_of(sweep / "report.html")
    from framework.comparing.command import compare

    (conclusion,) = [line.strip() for line in compare([str(sweep)]).splitlines() if "is better than" in line]
    assert conclusion in text  # the sentence of compare
    for expected in ("6 runs: 4 finished, 1 failed, 1 missing", "lr &lt;0&gt;", "test/accuracy"):
        assert expected in text
    assert "figures, curves" in said and {path.stem for path in (sweep / "pictures").iterdir()} == {"figures", "curves"}


def test_a_link_leads_to_the_page_of_a_run(sweep, tmp_path, undrawn):
    folder = Path(shutil.copytree(sweep, tmp_path / "sweep"))
    run = folder / "0_position=learned,seed=0"
    (run / "report.html").write_text("x")
    report([str(folder), "metric=f1", "by=model/position"])
    html = (folder / "report.html").read_text()
    (target,) = re.findall(r'<a href="([^"]+)"', html)
    assert target.replace("%3D", "=").replace("%2C", ",") == f"{run.name}/report.html" and "test/f1" in html


def test_a_sweep_with_one_finished_run(sweep, tmp_path, undrawn):
    folder = Path(shutil.copytree(sweep, tmp_path / "sweep"))
    for run in sorted(folder.glob("*,seed=*"))[1:]:
        (run / "metrics.json").unlink()
        (run / "run.json").write_text("[")
    (folder / "sweep.json").unlink()
    report([str(folder)])
    assert "3 damaged" in text_of(folder / "report.html") and "none are compared" in text_of(folder / "report.html")


def test_without_matplotlib(run, sweep, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for folder in (run, sweep):
        said = report([str(folder), f"to={tmp_path / folder.name}"])
        page = (tmp_path / folder.name / "report.html").read_text()
        assert 'python -m pip install "plugformer[pictures]"' in said and "<svg" not in page and "accuracy" in page
        assert not (tmp_path / folder.name / "pictures").exists()
    assert dict(run_pictures(run)) == {}


def test_the_command(sweep, tmp_path):
    command = [sys.executable, "-m", "framework", "report", str(sweep), f"to={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and (tmp_path / "report.html").is_file() and "report.html" in done.stdout, done.stderr
