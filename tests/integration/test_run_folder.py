"""A run through the command line: its folder is complete; it is evaluated, used, repeated and resumed."""

import csv
import json
import math
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sacrebleu
import torch
import yaml
from sklearn.metrics import accuracy_score, f1_score

from framework.__main__ import main as framework_main
from framework.cli.train import main as train_main
from framework.config import catalogue as index
from tests import offline
from tests.integration.conftest import CLASSIFICATION, FILES, MODEL, TRANSLATION, train, write_data

BOTH = ["logger=both", "logger.wandb.mode=offline", "logger.wandb.project=tests", "trainer.log_every_n_steps=1"]


@pytest.fixture(scope="module")
def module_folder(tmp_path_factory) -> Iterator[Path]:
    """The current folder of tests that only read a run."""
    folder = tmp_path_factory.mktemp("runs")
    write_data(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def run(module_folder) -> Path:
    return train(*CLASSIFICATION, *BOTH, "name=first")


def figures(run: Path) -> dict[str, float]:
    return json.loads((run / "metrics.json").read_text())


def predictions(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]


def history(run: Path) -> list[dict[str, str]]:
    """metrics.csv without its columns of time and of the memory of the process."""
    with open(run / "metrics.csv", newline="") as file:
        return [{name: value for name, value in row.items() if not re.search("second|memory", name)} for row in csv.DictReader(file)]


def runs() -> list[Path]:
    """The folders of all runs, those of sweeps among them."""
    return sorted(path.parent for pattern in ("*/*", "*/*/*") for path in Path("runs").glob(f"{pattern}/config.yaml"))


# -- the folder ----------------------------------------------------------------------------------------------------------


def test_the_folder_is_complete(run):
    assert re.fullmatch(r"first_\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", run.name)
    assert run.parent.name == "classification"
    files = {path.name for path in run.iterdir()}
    wanted = {
        "config.yaml",
        "run.json",
        "tokenizer.json",
        "data_spec.json",
        "checkpoints",
        "metrics.csv",
        "metrics.json",
        "predictions.jsonl",
        "confusion.csv",
        "report.csv",
        "labels.csv",
        "train.log",
    }
    assert files == wanted | {"wandb", "wandb_id.txt"}
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}


def test_the_config_says_everything(run):
    def nodes(value):
        if isinstance(value, dict):
            yield value
            for inner in value.values():
                yield from nodes(inner)

    config = yaml.safe_load((run / "config.yaml").read_text())
    assert (config["model"]["dim"], config["name"], config["seed"]) == (16, "first", 0)
    stacks = [node for node in nodes(config["model"]) if node.get("part") == "encoder/standard"]
    assert [stack["attention"]["part"] for stack in stacks] == ["attention/multi_head"]  # what followed stands there itself
    assert all(re.fullmatch(r"\w+/\w+", node["part"]) for node in nodes(config) if "part" in node)


def test_overrides_versions_and_distributions_are_saved(run):
    notes = json.loads((run / "run.json").read_text())
    assert notes["overrides"] == [*CLASSIFICATION, *BOTH, "name=first"]
    assert notes["versions"]["torch"] == torch.__version__
    assert notes["parts"]["attention/multi_head"] == notes["parts"]["task/classification"] != ""
    recipe = yaml.safe_load(Path(index.load().presets["recipe/classification"]["scratch"]["file"]).read_text())
    assert notes["chosen"]["recipe"] == "scratch" and notes["chosen"]["model"] == recipe["model"]
    assert notes["chosen"]["data/batches"] == recipe["data"]["batches"]["is"]


def test_printed_text_is_saved(run):
    log = (run / "train.log").read_text()
    printed = (
        "parameters",
        "recipe scratch; adamw at 0.001, ",
        "vocabulary 261; 1 process on cpu",
        "accuracy",
        "python -m framework predict",
        "resume=",
    )
    for said in printed:
        assert said in log
    assert re.search(r"train +70 rows", log)


def test_the_history_has_training_and_validation(run):
    rows = history(run)
    assert [row["validation/accuracy"] != "" for row in rows].count(True) >= 2
    assert all(float(row["train/loss"]) > 0 for row in rows if row.get("train/loss"))
    assert any(row.get("train/padding") for row in rows)


def test_metrics_of_a_classification_follow_from_its_predictions(run):
    found, rows = figures(run), predictions(run)
    compared = {"difference/accuracy", *(f"test/{name}" for name in ("accuracy", "f1", "mcc"))}
    bounds = {name: (found.pop(f"low/{name}"), found.pop(f"high/{name}")) for name in compared}
    assert found.pop("difference/accuracy") == pytest.approx(found["test/accuracy"] - found["baseline/accuracy"])
    assert all(low <= found.get(name, low) <= high for name, (low, high) in bounds.items())
    names = {f"{split}/{name}" for split in ("validation", "test") for name in ("loss", "accuracy", "f1", "mcc", "calibration_error")}
    assert set(found) == names | {"baseline/accuracy", "baseline/f1", "baseline/mcc"}
    expected, predicted = [row["reference"] for row in rows], [row["prediction"] for row in rows]
    assert len(rows) == 21
    assert found["test/accuracy"] == pytest.approx(accuracy_score(expected, predicted))
    assert found["test/f1"] == pytest.approx(f1_score(expected, predicted, average="macro"))
    assert found["test/loss"] == pytest.approx(-sum(math.log(row["scores"][row["reference"]]) for row in rows) / len(rows), abs=1e-5)


def test_metrics_of_a_completion_follow_from_its_predictions(project):
    for name in ("train", "dev", "test"):
        (project / f"{name}.txt").write_text((project / f"{name}.csv").read_text())
    words = ["task=completion", *(word.replace(".csv", ".txt") for word in FILES), *MODEL, "data.batches.budget=256", "data.text_unit=file"]
    run = train(*words, "callbacks.progress.style=off", "task.test_rows=2")
    found, rows = figures(run), predictions(run)
    nats, tokens, size = (sum(row[name] for row in rows) for name in ("nats", "tokens", "bytes"))
    assert size == len((project / "test.txt").read_bytes()) - 1  # of the first byte there is nothing to predict from
    assert found["test/loss"] == pytest.approx(nats / tokens, rel=1e-6)
    assert found["test/perplexity"] == pytest.approx(math.exp(nats / tokens), rel=1e-5)
    assert found["test/bits_per_byte"] == pytest.approx(nats / math.log(2) / size, rel=1e-5)
    assert len(rows) > sum("prediction" in row for row in rows) == 2


@pytest.fixture(scope="module")
def translated(module_folder) -> Path:
    return train(*TRANSLATION, "data.test=[dev.en,dev.de]", "data.batches.budget=256", "optimizer.lr=0.01", "trainer.max_epochs=3")


def test_metrics_of_a_translation_follow_from_its_predictions(translated):
    found, rows = figures(translated), predictions(translated)
    written, expected = [row["prediction"] for row in rows], [row["reference"] for row in rows]
    assert expected == Path("dev.de").read_text().splitlines()
    assert any(written)
    bleu, chrf = sacrebleu.BLEU(), sacrebleu.CHRF()
    assert found["test/bleu"] == pytest.approx(bleu.corpus_score(written, [expected]).score, rel=1e-6)
    assert found["test/chrf"] == pytest.approx(chrf.corpus_score(written, [expected]).score, rel=1e-6)
    assert json.loads((translated / "run.json").read_text())["signatures"]["bleu"] == str(bleu.get_signature())
    assert all(math.isfinite(row["score"]) for row in rows)


# -- measured again, and asked -------------------------------------------------------------------------------------------


def printed_figures(capsys) -> dict[str, float]:
    return {name: float(value) for name, value in (line.split() for line in capsys.readouterr().out.splitlines())}


@pytest.mark.parametrize("which", ["run", "translated"])
def test_evaluate_gives_the_final_metrics(request, capsys, which):
    folder = request.getfixturevalue(which)
    capsys.readouterr()
    assert framework_main(["evaluate", str(folder)]) == 0
    found = printed_figures(capsys)
    measured = {name: value for name, value in figures(folder).items() if name.startswith(("validation/", "test/"))}
    assert found == pytest.approx(measured, rel=1e-5)


def test_evaluate_on_other_data(run, module_folder, capsys):
    lines = Path("test.csv").read_text().splitlines()
    swapped = [line.replace(",good", ",x").replace(",bad", ",good").replace(",x", ",bad") for line in lines]
    Path("swapped.csv").write_text("\n".join([*swapped, ""]))
    assert framework_main(["evaluate", str(run), "data.test=swapped.csv"]) == 0
    found = printed_figures(capsys)
    assert found["test/accuracy"] == pytest.approx(1 - figures(run)["test/accuracy"], abs=1e-5)
    assert found["validation/accuracy"] == pytest.approx(figures(run)["validation/accuracy"], abs=1e-5)


@pytest.mark.parametrize("word", ["model.dim=32", "tokenizer=bpe", "task=completion", "model=tiny_decoder", "modle=1"])
def test_evaluate_refuses_another_model(run, capsys, word):
    assert framework_main(["evaluate", str(run), word]) == 2
    message = capsys.readouterr().err
    assert word.partition("=")[0] in message
    assert len(message.strip().splitlines()) <= 6


def test_predict_a_text(run, capsys):
    first = predictions(run)[0]
    assert framework_main(["predict", str(run), f"text={first['input']}"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["prediction"] == first["prediction"]
    assert told["scores"] == pytest.approx(first["scores"], abs=1e-5)


def test_predict_a_file_without_labels(run, capsys):
    lines = [line.rpartition(",")[0] for line in Path("test.csv").read_text().splitlines()]
    Path("asked.csv").write_text("\n".join([*lines, ""]))
    assert framework_main(["predict", str(run), "file=asked.csv"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["prediction"] for row in told] == [row["prediction"] for row in predictions(run)]
    Path("asked.txt").write_text("\n".join([*lines[1:], ""]))
    assert framework_main(["predict", str(run), "file=asked.txt"]) == 0
    assert [json.loads(line)["prediction"] for line in capsys.readouterr().out.splitlines()] == [row["prediction"] for row in told]
    assert framework_main(["predict", str(run), "file=asked.csv", "to=answers.jsonl"]) == 0
    assert [json.loads(line) for line in Path("answers.jsonl").read_text().splitlines()] == told


def test_predict_gives_the_predictions_of_the_test(translated, capsys):
    rows = predictions(translated)[:3]
    assert framework_main(["predict", str(translated), *(f"text={row['input']}" for row in rows)]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["prediction"] for row in told] == [row["prediction"] for row in rows] and all("score" in row for row in told)
    assert framework_main(["predict", str(translated), "file=dev.en"]) == 0
    assert [json.loads(line)["prediction"] for line in capsys.readouterr().out.splitlines()] == [
        row["prediction"] for row in predictions(translated)
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [([], "predict takes text="), (["text=a", "file=b"], "predict takes text="), (["file=gone.csv"], "gone.csv does not exist")],
)
def test_predict_refuses(run, capsys, words, said):
    assert framework_main(["predict", str(run), *words]) == 2
    assert said in capsys.readouterr().err


# -- composing -----------------------------------------------------------------------------------------------------------


def test_cfg_job_shows_the_explicit_config_and_trains_nothing(project, capsys):
    assert train_main([*CLASSIFICATION, "--cfg", "job"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["model"]["encoder"]["attention"]["part"] == "attention/multi_head"
    assert shown["data"]["train"] == "train.csv"
    assert train_main([*CLASSIFICATION, "--cfg", "job", "--package", "model.dim"]) == 0
    assert capsys.readouterr().out.strip() == "16"
    assert not Path("runs").exists()


def test_the_whole_config_of_one_run_makes_the_same_run(project, capsys):
    """`--cfg job` prints the config that is saved in the folder, but for what is chosen from the rows, which it does not read, and from the
    device that trains."""
    fixed = [*CLASSIFICATION, "name=x", "effort=fixed"]
    assert train_main([*fixed, "--cfg", "job"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert yaml.safe_load((train(*fixed, "trainer.limit_train_batches=1") / "config.yaml").read_text()) == {
        **shown,
        "trainer": {**shown["trainer"], "limit_train_batches": 1, "precision": "32-true"},
    }


@pytest.fixture
def own(project):
    """A folder of experiments outside the repository."""
    (project / "own" / "experiment").mkdir(parents=True)
    (project / "own" / "model").mkdir()
    (project / "own" / "model" / "small.yaml").write_text(
        "defaults: [encoder_only, override position: rotary, _self_]\ndim: 16\nnum_layers: 1\nnum_heads: 2\nmax_length: 32\n"
    )
    experiment = """\
# @package _global_
defaults:
  - override /task: classification
  - override /data: files
  - override /tokenizer: bytes
  - override /model: small
  - _self_
data: {train: train.csv, validation: dev.csv, test: test.csv}
trainer: {max_epochs: 1}
callbacks: {progress: {style: "off"}}
"""
    (project / "own" / "experiment" / "mine.yaml").write_text(experiment)
    return project


def test_an_experiment_and_a_model_of_the_user(own):
    run = train("--config-dir", "own", "experiment=mine", "seed=3")
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert (config["model"]["position"]["part"], config["model"]["dim"], config["seed"]) == ("position/rotary", 16, 3)
    run = train("--config-dir=own", "experiment=mine", "model=bert_tiny", *MODEL)  # a choice on the command line beats the experiment's
    assert yaml.safe_load((run / "config.yaml").read_text())["model"]["position"]["part"] == "position/learned"


def test_a_misspelt_experiment_of_the_user_is_suggested(own, capsys):
    assert train_main(["--config-dir", "own", "experiment=mien"]) == 2
    assert "(did you mean 'mine'?)" in capsys.readouterr().err


def test_a_sweep_makes_a_folder_for_each_job(own):
    assert train_main(["-m", "--config-dir", "own", "experiment=mine", "seed=1,2"]) == 0
    folders = [Path(f"runs/classification/classification_seed-1,2/0{seed}_seed={seed}") for seed in (1, 2)]
    configs = [yaml.safe_load((folder / "config.yaml").read_text()) for folder in folders]
    assert [(config["seed"], config["name"]) for config in configs] == [(seed, folders[seed - 1].name) for seed in (1, 2)]
    assert all((folder / "metrics.json").exists() for folder in folders)


def test_all_jobs_of_a_sweep_are_checked_before_the_first_trains(project, capsys):
    assert train_main(["-m", *CLASSIFICATION, "model.num_heads=2,3"]) == 2
    assert "num_heads" in capsys.readouterr().err
    assert train_main(["-m", *CLASSIFICATION, "data.train=train.csv,gone.csv"]) == 2
    assert "gone.csv does not exist" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_the_name_has_the_task_and_the_overrides(project):
    run = train(
        *CLASSIFICATION[:5], *MODEL[:2], "tokenizer=bytes", "model/position=rotary", "trainer.max_steps=1", "callbacks=none", "logger=none"
    )
    expected = "classification_data-files_dim-16_num_layers-1_tokenizer-bytes_position-rotary_max_steps-1"
    assert re.sub(r"_\d{4}-.*", "", run.name) == expected == yaml.safe_load((run / "config.yaml").read_text())["name"]
    assert not (run / "metrics.csv").exists() and not list(run.glob("checkpoints/*"))


# -- the same run again, and on --------------------------------------------------------------------------------------------


def test_the_same_run_twice_has_the_same_metrics(project):
    words = [*CLASSIFICATION, "model.dropout=0.3", "trainer.log_every_n_steps=1"]
    one = train(*words)
    torch.rand(7)  # whatever the process did in between
    other = train(*words)
    assert one != other
    assert figures(one) == figures(other)
    assert history(one) == history(other)
    assert predictions(one) == predictions(other)
    third = train(*words, "seed=1")
    assert figures(third)["test/loss"] != figures(one)["test/loss"]


def test_a_resumed_run_continues_in_its_folder(project, capsys):
    run = train(*CLASSIFICATION, "name=x")
    changes = ["trainer.max_epochs=4", "optimizer.lr=0.002", "schedule=linear", "callbacks.checkpoint.every_n_train_steps=1", "logger=csv"]
    assert train(f"resume={run}", *changes) == run
    assert runs() == [run.relative_to(project)]
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert (config["trainer"]["max_epochs"], config["optimizer"]["lr"], config["schedule"]["part"]) == (4, 0.002, "schedule/linear")
    steps = [int(row["step"]) for row in history(run) if row["validation/loss"]]
    assert sorted(set(steps)) == [3, 6, 9, 12] and steps == sorted(steps)
    assert json.loads((run / "run.json").read_text())["overrides"] == [*CLASSIFICATION, "name=x", *changes]
    assert torch.load(run / "checkpoints/last.ckpt", weights_only=True)["epoch"] == 3


def test_resuming_a_finished_run_changes_nothing(project):
    run = train(*CLASSIFICATION)
    before, one = figures(run), torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    train("resume=runs/last")
    assert figures(run) == before
    other = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    assert one["global_step"] == other["global_step"]
    assert all(torch.equal(value, other["state_dict"][name]) for name, value in one["state_dict"].items())


REFUSED = {
    "model.dim=32": "the saved weights are of that model",
    "model/attention=linear": "the saved weights are of that model",
    "model=bert_base model.dim=24": "the saved weights are of that model",
    "tokenizer=characters": "the saved weights know that tokenizer's ids",
    "task.pooling=max": "the saved weights and metrics are of that task",
    "data.batches.budget=64": "the run would go on in the middle of other rows",
    "data.limit=5": "the run would go on in the middle of other rows",
    "optimizer=sgd": "the saved optimizer state is of that optimizer",
    "recipe=finetune": "the recipe may not change, this run took recipe=scratch",
    "seed=7": "order and dropout would not be those of one run",
    "name=y": "the run goes on in the same folder",
    "model.dmi=3": "(did you mean 'dim'?)",
    "optimizer.lr=fast": "is not of type float",
    "resume": "Write key=value",
}


@pytest.mark.parametrize(("word", "said"), REFUSED.items(), ids=REFUSED)
def test_a_fixed_option_is_refused_with_the_reason(run, capsys, word, said):
    before = (run / "config.yaml").read_text()
    assert train_main([f"resume={run}", *word.split()]) == 2
    message = capsys.readouterr().err
    assert said in message and len(message.strip().splitlines()) <= 6
    assert (run / "config.yaml").read_text() == before


def test_resume_auto_starts_and_then_resumes(project, capsys):
    run = train(*CLASSIFICATION, "name=x", "resume=auto")
    assert train(*CLASSIFICATION, "name=x", "resume=auto", "trainer.max_epochs=3") == run
    assert torch.load(run / "checkpoints/last.ckpt", weights_only=True)["epoch"] == 2
    assert train(*CLASSIFICATION, "name=y", "resume=auto") != run
    assert len(runs()) == 2
    capsys.readouterr()
    assert train_main([*CLASSIFICATION, "name=x", "resume=auto", "model.dim=32"]) == 2
    assert "model.dim may not change" in capsys.readouterr().err


# -- Weights & Biases ------------------------------------------------------------------------------------------------------


def test_weights_and_biases_offline(run):
    records = offline.records(run)
    (told,) = [record["run"] for record in records if "run" in record][:1]
    config = told["config"]["update"]
    assert (told["project"], told["display_name"], told["run_id"]) == ("tests", "first", (run / "wandb_id.txt").read_text().strip())
    assert config["model"]["encoder"]["attention"]["part"] == "attention/multi_head" and config["choice"]["model"] == "tiny_encoder"
    items = [record["history"]["item"] for record in records if "history" in record]
    assert any("train/tokens_per_second" in item and "train/padding" in item for item in items)
    (final,) = [item for item in items if "final/test/accuracy" in item]
    assert {name.removeprefix("final/"): value for name, value in final.items() if name.startswith("final/")} == pytest.approx(figures(run))
    assert [record["exit"]["exit_code"] for record in records if "exit" in record] == [0]


def test_a_resumed_run_is_one_run_in_weights_and_biases(project):
    run = train(*CLASSIFICATION, "logger=wandb", "logger.wandb.mode=offline", "trainer.max_epochs=1")
    second = int(time.time())
    while int(time.time()) == second:  # W&B names its folders by the second
        time.sleep(0.02)
    train("resume=runs/last", "trainer.max_epochs=2")
    files = sorted(run.glob("wandb/offline-run-*/*.wandb"))
    assert len(files) == 2
    assert len({file.stem for file in files}) == 1
    assert not Path("wandb").exists()


def test_a_failed_run_is_reported_as_failed(project, monkeypatch):
    def broken(self, batch, batch_index):
        raise RuntimeError("a bug")

    monkeypatch.setattr("framework.training.learner.Learner.training_step", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        train_main([*CLASSIFICATION, "logger=wandb", "logger.wandb.mode=offline"])
    records = offline.records(Path("runs/last").resolve())
    assert [record["exit"]["exit_code"] for record in records if "exit" in record] == [1]
    for told in (json.dumps([record for record in records if "output" in json.dumps(record)]), Path("runs/last/train.log").read_text()):
        assert "Traceback" in told and "RuntimeError: a bug" in told
    assert json.loads(Path("runs/last/run.json").read_text())["error"] == "RuntimeError: a bug"


def test_the_baseline_can_be_switched_off(project):
    run = train(*CLASSIFICATION, "trainer.max_steps=1", "task.baseline=false")
    assert not [name for name in figures(run) if name.startswith(("baseline", "difference"))] and "test/accuracy" in figures(run)
