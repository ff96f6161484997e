"""Distillation from a run: the student is initialized with some of its layers, its checkpoints hold no teacher, mistakes are refused."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from framework.cli.train import main
from framework.pretrained.overrides import pinned
from framework.runs.checkpoint import load_weights
from framework.workflows.evaluate import evaluate
from framework.workflows.predict import predict
from tests.integration.conftest import CLASSIFICATION, TRANSLATION, copied, newest, refused, train, write_data

STUDENT = [word for word in CLASSIFICATION if not word.startswith(("tokenizer", "model.num_layers"))]
TEACHER = [*STUDENT, "tokenizer=bytes", "model.num_layers=3"]
SMALLER = [*STUDENT, "model.num_layers=2"]
FROM = [*SMALLER, "task.teacher=runs/last"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with data and the run of a teacher."""
    folder = tmp_path_factory.mktemp("teacher")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_data(folder)
        train(*TEACHER)
    return folder


@pytest.fixture
def here(runs, tmp_path, monkeypatch):
    """The run in a copy of that folder, which is the current folder."""
    copied(runs, tmp_path, monkeypatch)
    return newest()


def weights(run, file="best.ckpt"):
    return load_weights(run / "checkpoints" / file)


def test_a_student_of_some_layers_needs_no_teacher_after_training(here, capsys):
    before, teacher = weights(here), {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    begin = [f"model.pretrained={here}", "model.init_layers=[0,2]", "optimizer.lr=0.0"]
    run = train(*FROM, *begin, "task.distillation.temperature=3")
    said = capsys.readouterr().out
    assert f"teacher {here}: temperature 3, soft 0.625, hidden 0.125, hard 0.25" in said
    after = weights(run)
    assert all(torch.equal(value, before[name.replace("layers.1.", "layers.2.")]) for name, value in after.items())
    assert len(after) < len(before) and not any("teacher" in name or "distillation" in name for name in after)
    assert (run / "tokenizer.json").read_text() == (here / "tokenizer.json").read_text()
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["task"]["teacher"] == str(here) and config["model"]["init_layers"] == [0, 2]
    assert teacher == {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}

    shutil.move(here, "elsewhere")
    figures = evaluate(run, [])
    assert figures["test/accuracy"] == pytest.approx(json.loads((run / "metrics.json").read_text())["test/accuracy"])
    predict(run, ["text=fine great"])
    said = refused(capsys, f"resume={run}", "trainer.max_epochs=3")
    assert f"task.teacher={here}: there is no such folder" in said
    assert "Training needs its teacher, also when it is resumed: task.teacher=PATH says where it is now." in said
    assert main([f"resume={run}", "trainer.max_epochs=3", "task.teacher=elsewhere"]) == 0
    assert "teacher elsewhere" in capsys.readouterr().out


def test_a_resumed_student_is_bit_equal(here):
    words = [*SMALLER, f"task.teacher={here}", "schedule=constant", "schedule.warmup=0"]
    whole = train(*words, "name=whole", "trainer.max_steps=6")
    cut = train(*words, "name=cut", "trainer.max_steps=3")
    assert main([f"resume={cut}", "trainer.max_steps=6"]) == 0
    one, other = (weights(run, "last.ckpt") for run in (whole, cut))
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_without_the_hard_loss_the_labels_do_not_matter(here):
    """Two students, one with wrong labels: with hard=0 their weights are equal."""
    text = Path("train.csv").read_text()
    swapped = text.replace(",good", ",x").replace(",bad", ",good").replace(",x", ",bad")
    Path("wrong.csv").write_text(swapped)
    words = [*SMALLER, f"task.teacher={here}", "task.distillation.hard=0", "trainer.max_steps=3"]
    one, other = (weights(train(*words, *more), "last.ckpt") for more in ([], ["data.train=wrong.csv"]))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.matrix(0.5, axes=())
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["task.teacher=nowhere"], "task.teacher: there is no folder nowhere"),
        (["tokenizer=bytes"], "tokenizer=bytes: with task.teacher the tokenizer is that of runs"),
        (["model.dim=32"], "the teacher's hidden states have 16 features and this model's 32: task.distillation.hidden=0 leaves out the "
                           "cosine loss, model.dim=16 makes the widths equal"),
        (["model.max_length=64"], "has max_length 32, and this model 64; model.max_length=32 suits both"),
        (["task.distillation.temperature=0"], "temperature must be positive"),
        (["task.distillation.warmth=1"], "warmth"),
        (["model.init_layers=[0,2]"], "init_layers needs model.pretrained"),
        (["model.pretrained=runs/last", "model.init_layers=[0,1,2]"],
         "model.init_layers names 3 layers, [0, 1, 2], and the encoder of this model has 2; model.num_layers=3 makes them equal"),
        (["model.pretrained=runs/last", "model.init_layers=[0,3]"], "has 3: 0 to 2"),
        (["model.init_layers=every second"], "model.init_layers: 'every second' is not of type list[int] | dict[str, list[int]] | None"),
    ],
)  # fmt: skip
def test_mistakes(here, capsys, words, said):
    assert said in refused(capsys, *FROM, *words)
    assert len(list(Path("runs").rglob("config.yaml"))) == 1  # before there is a folder


def test_the_teacher_must_be_of_the_same_task_and_rows(here, capsys):
    words = [word for word in TRANSLATION if not word.startswith("tokenizer")]
    assert f"task.teacher={here} is of task/classification, and this run of task/translation" in refused(
        capsys, *words, "task.teacher=runs/last"
    )
    said = refused(capsys, *FROM, "task/format=pairs", "data.columns.second=text")
    assert "is of format/classification, and this run of format/pairs: teacher and student need the same batches" in said


def test_other_labels_are_refused_with_both(here, capsys):
    Path("other.csv").write_text(Path("train.csv").read_text().replace(",good", ",fine"))
    said = refused(capsys, *FROM, "data.train=other.csv", "data.validation=other.csv", "data.test=other.csv")
    assert f"task.teacher={here} has other labels than these rows: 'bad', 'good' there, 'bad', 'fine' here" in said


def test_a_data_spec_of_another_vocabulary_are_refused_with_both(here, capsys):
    spec = json.loads((here / "data_spec.json").read_text())
    (here / "data_spec.json").write_text(json.dumps({**spec, "vocab_size": 1234}))
    said = refused(capsys, *FROM)
    assert f"model.tokens.weight: ({spec['vocab_size']}, 16) in the file, (1234, 16) in the model" in said


def test_two_tokenizers_are_refused(here, capsys):
    other = train(*STUDENT, "model.num_layers=3", "tokenizer=characters", "trainer.max_steps=1")
    said = refused(capsys, *SMALLER, f"task.teacher={here}", f"model.pretrained={other}", "model.num_layers=3")
    assert f"model.pretrained={other} and task.teacher={here} have different tokenizers" in said


@pytest.mark.parametrize("lost", ["tokenizer.json", "data_spec.json", "checkpoints"])
def test_a_teacher_that_is_not_complete(here, capsys, lost):
    path = here / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    said = refused(capsys, *FROM)
    assert f"task.teacher={here}: this run is not complete, it has no {'a checkpoint' if lost == 'checkpoints' else lost}" in said


def test_last_is_replaced_by_the_folder_it_points_to(here):
    assert pinned(["task.teacher=runs/last", "seed=1"]) == [f"task.teacher={here}", "seed=1"]
