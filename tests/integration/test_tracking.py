"""What W&B is told of a run of each task, and how runs end there: read back from the offline file."""

import json
import os
import signal
from pathlib import Path

import pytest

from framework.cli.train import main
from tests import offline
from tests.integration.conftest import MODEL
from tests.training.few_rows import ROWS

WANDB = [
    "logger=wandb",
    "logger.wandb.mode=offline",
    "callbacks.progress.style=off",
    "trainer.log_every_n_steps=1",
    "trainer.max_steps=2",
    "trainer.max_epochs=2",
]
FIGURES = {
    *("train/loss", "train/lr", "train/tokens_per_second", "train/padding", "train/flops_per_second", "train/memory_mib"),
    *("train/gradient_norm", "train/weight_norm", "train/update_norm", "epoch", "trainer/global_step"),
}
# task -> its figure in validation, overrides, and columns of its table of predictions
TASKS = {
    "classification": ("accuracy", [], {"score", "scores/even", "scores/odd"}),
    "ner": ("f1", ["task.format.overlap=8"], {"reference in text", "prediction in text"}),
    "translation": ("bleu", ["task.decoding.max_new_tokens=4"], {"score", "bleu", "chrf"}),
    "summarization": ("rougeL", ["task.decoding.max_new_tokens=4"], {"score", "rougeL"}),
    "completion": ("bits_per_byte", ["task.validation_rows=2", "task.decoding.max_new_tokens=4"], {"score", "bits_per_byte"}),
    "pretraining": ("accuracy", ["task.validation_rows=2"], {"accuracy"}),
}


def words(task: str) -> list[str]:
    """The command of a tiny run; its rows are written into the current folder."""
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS[f"task/{task}"] * 4))
    split = [f"data.{split}=rows.jsonl" for split in ("train", "validation", "test")]
    model = [word for word in MODEL if task != "pretraining" or word != "tokenizer=bytes"]
    return [f"task={task}", "data=files", *split, *model, *WANDB, *TASKS[task][1]]


@pytest.fixture(scope="module", params=list(TASKS))
def logged(request, tmp_path_factory):
    """A task, the folder of its run, and what W&B's file says."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp(request.param))
        assert main(words(request.param)) == 0
        run = Path("runs/last").resolve()
    return request.param, run, offline.records(run)


def test_a_run_tells_its_story(logged):
    task, run, records = logged
    config, summary, rows = offline.config_of(records), offline.summary_of(records), offline.items(records)
    assert config["choice"]["task"] == task and config["model"]["dim"] == 16
    facts = config["facts"]
    assert facts["command"].startswith(f"python train.py task={task} ") and len(facts["data"]["train"]["fingerprint"]) == 32
    assert facts["parameters"] > 0 and facts["monitor"] in {key for row in rows for key in row}
    trained = [row for row in rows if "train/loss" in row]
    assert [row["trainer/global_step"] for row in trained] == [1, 2] and all(FIGURES <= set(row) for row in trained)
    figure = f"validation/{TASKS[task][0]}"
    seen = [row[figure] for row in rows if figure in row]
    assert summary[figure] == {"min": min(seen), "max": max(seen), "last": seen[-1]}
    final = json.loads((run / "metrics.json").read_text())
    assert {key: summary[f"final/{key}"] for key in final if final[key] is not None} == pytest.approx(
        {key: value for key, value in final.items() if value is not None}, rel=1e-6
    )
    assert any(key.startswith("final/baseline/") for key in summary)
    assert offline.exit_codes(records) == [0]


def test_a_run_shows_predictions(logged):
    task, run, records = logged
    growing, final = offline.table(records, "predictions"), offline.table(records, "final_predictions")
    assert {"step", "epoch", "row", "input", "reference", "prediction", *TASKS[task][2]} <= set(growing[0])
    assert set(final[0]) == set(growing[0]) - {"step", "epoch"}
    kept = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    assert {row["row"]: row["input"] for row in final}.items() <= {row["row"]: row.get("input") for row in kept}.items()
    reports = ("confusion.csv", "report.csv") if task == "classification" else ()
    uploaded = {file["path"] for each in offline.find(records, "files") for file in each["files"]}
    assert uploaded >= {"metrics.json", *reports}


def broken(learner, batch):
    raise RuntimeError("a bug")


def interrupted(learner, batch):
    os.kill(os.getpid(), signal.SIGINT)
    return learner.task(batch)


def diverging(learner, batch):
    result = learner.task(batch)
    result.loss = result.loss * float("nan")
    return result


@pytest.mark.parametrize(("how", "code", "alerts"), [(broken, 1, ["failed"]), (interrupted, 130, []), (diverging, 2, ["diverged"])])
def test_a_run_that_ends_early_says_how(tmp_path, monkeypatch, how, code, alerts):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("framework.training.learner.Learner._forward", how)
    if how is broken:
        with pytest.raises(RuntimeError, match="a bug"):
            main([*words("classification"), "task.baseline=false"])
    else:
        assert main([*words("classification"), "task.baseline=false"]) == code
    records = offline.records(Path("runs/last").resolve())
    assert offline.exit_codes(records) == [code]
    assert [alert["title"].rpartition(" ")[2] for alert in offline.find(records, "alert")] == alerts
    said = {broken: "RuntimeError: a bug", interrupted: "resume=", diverging: "optimizer.lr"}[how]
    assert said in json.dumps([record for record in records if "output" in json.dumps(record)])
