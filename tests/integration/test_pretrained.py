"""Runs with pretrained weights of a run: what is loaded, what is refused, and that the pretrained run is not needed later."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from framework.__main__ import main as framework_main
from framework.cli.train import main
from framework.config import catalogue as index
from framework.config.diff import differences
from framework.pretrained.overrides import pinned
from framework.runs.checkpoint import load_weights
from framework.workflows.evaluate import evaluate
from framework.workflows.predict import predict
from tests import forks
from tests.integration.conftest import CLASSIFICATION, copied, newest, refused, train, write_text

SMALL = [
    "model=small_encoder",
    "model.dim=16",
    "model.num_layers=1",
    "model.num_heads=2",
    "model.max_length=32",
    "callbacks.progress.style=off",
]
TEXT = ["data=files", "data.train=text.txt", "trainer.max_steps=3"]
PRETRAINING = ["task=pretraining", *SMALL, "tokenizer=bpe", "tokenizer.vocab_size=300", *TEXT]
LABELED = [word for word in CLASSIFICATION if not word.startswith(("tokenizer", "model"))] + [*SMALL, "trainer.max_steps=2"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with data and one pretraining run."""
    from tests.integration.conftest import write_data

    folder = tmp_path_factory.mktemp("pretrained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_data(folder)
        write_text(folder)
        train(*PRETRAINING)
    return folder


@pytest.fixture
def here(runs, tmp_path, monkeypatch):
    """The run in a copy of that folder, which is the current folder."""
    copied(runs, tmp_path, monkeypatch)
    return newest()


def weights(run):
    return load_weights(run / "checkpoints" / "best.ckpt")


def test_a_classifier_loads_what_fits_and_needs_the_source_no_more(here, capsys):
    before = weights(here)
    run = train(*LABELED, f"model.pretrained={here}", "optimizer.lr=0.0")
    said = capsys.readouterr().out
    taken = sum(name.startswith("model.") for name in before)
    assert f"pretrained {here}: {taken} of {taken + 2} tensors loaded" in said and "newly initialized  head (2)" in said
    assert "not used           head (5)" in said and "differs there" not in said
    after = weights(run)
    assert all(torch.equal(before[name], after[name]) for name in before if name.startswith("model."))
    assert (run / "tokenizer.json").read_text() == (here / "tokenizer.json").read_text()
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["model"]["pretrained"] == str(here) and config["tokenizer"]["part"] == "tokenizer/pretrained"

    shutil.rmtree(here)  # what comes now has weights, tokenizer and data spec of its own
    figures = evaluate(run, [])
    assert figures["test/accuracy"] == pytest.approx(json.loads((run / "metrics.json").read_text())["test/accuracy"])
    predict(run, ["text=fine great"])
    assert main([f"resume={run}", "trainer.max_steps=3"]) == 0
    assert "pretrained " not in capsys.readouterr().out


def test_a_mismatch_is_refused_with_names_shapes_and_options_that_fit(here, capsys):
    said = refused(capsys, *LABELED, f"model.pretrained={here}", "model.dim=32", "model.attention.num_kv_heads=1")
    assert said.splitlines()[0] == f"model.pretrained={here} does not fit this model:"
    assert "model.tokens.weight: (300, 16) there, (300, 32) here" in said and "more" in said
    assert "The pretrained model has: model.dim=16 model.attention.num_kv_heads=null\n" in said
    assert len(list(Path("runs").rglob("config.yaml"))) == 1  # before there is a folder


@pytest.mark.matrix(0.5, axes=())
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model.pretrained=nowhere"], "there is no folder nowhere, no model of that name in the cache"),
        (["model.pretrained=runs/last", "tokenizer=bytes"], "tokenizer=bytes: with model.pretrained the tokenizer is that of runs"),
        (["model.pretrained=runs/last", "tokenizer.vocab_size=9"], "tokenizer.vocab_size=9: with model.pretrained"),
        (["model.pretrained=runs/last", "model=tiny_decoder", "model.dim=16"], "is a encoder_only model and this one a decoder_only"),
        (["model.pretrained=runs/last", "data.train=missing.csv"], "missing.csv"),
    ],
)
def test_mistakes(here, capsys, words, said):
    assert said in refused(capsys, *LABELED, *words)
    assert len(list(Path("runs").rglob("config.yaml"))) == 1


@pytest.mark.parametrize("lost", ["tokenizer.json", "data_spec.json", "checkpoints"])
def test_a_run_that_is_not_complete(here, capsys, lost):
    path = here / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert f"it has no {'a checkpoint' if lost == 'checkpoints' else lost}" in refused(capsys, *LABELED, f"model.pretrained={here}")


def test_the_same_task_loads_its_head_and_other_options_are_reported(here, capsys):
    words = [word for word in PRETRAINING if not word.startswith("tokenizer")]
    run = train(*words, f"model.pretrained={here}", "optimizer.lr=0.0", "model.num_heads=4", "model.dropout=0.2", "seed=1")
    said = capsys.readouterr().out
    assert "newly initialized" not in said and "not used" not in said and "differs there      model.num_heads=2\n" in said
    before, after = weights(here), weights(run)
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


def test_a_table_that_grows_by_special_tokens_keeps_its_rows(here, capsys):
    small = [word for word in SMALL if word != "model=small_encoder"]
    family = ["model=encoder_decoder", "model/position=rotary", "model/embedding_norm=layer"]
    words = ["task=pretraining", "task/format=span_corruption", *family, *small, "data=files", "data.train=text.txt", "trainer.max_steps=1"]
    run = train(*words, f"model.pretrained={here}", "optimizer.lr=0.0")
    said = capsys.readouterr().out
    before, after = weights(here), weights(run)
    table = after["model.tokens.weight"]
    assert len(table) == 400 and torch.equal(table[:300], before["model.tokens.weight"])
    shared = [name for name in before if name.startswith("model.encoder.")]
    assert shared and all(torch.equal(before[name], after[name]) for name in shared)
    assert "model.decoder" in said and "differs there      model=encoder_only" in said


def test_an_export_is_a_source_like_its_run(here, capsys):
    assert framework_main(["export", str(here), "to=safetensors", "folder=out"]) == 0
    run = train(*LABELED, "model.pretrained=out", "optimizer.lr=0.0")
    assert "pretrained out: " in capsys.readouterr().out
    before, after = weights(here), weights(run)
    assert all(torch.equal(before[name], after[name]) for name in before if name.startswith("model."))


def test_the_jobs_of_a_sweep_have_the_same_source(here):
    assert pinned(["seed=0,1", "model.pretrained=runs/last"]) == ["seed=0,1", f"model.pretrained={here}"]
    assert pinned(["model.pretrained=null,runs/last"]) == [f"model.pretrained=null,{here}"]
    assert main(["-m", *LABELED, "model.pretrained=null,runs/last", "trainer.max_steps=1"]) == 0
    configs = [yaml.safe_load(path.read_text()) for path in sorted(Path("runs/classification").glob("*/*/config.yaml"))]
    assert [config["model"]["pretrained"] for config in configs] in ([None, str(here)], [str(here), None])


def test_differences_are_overrides():
    saved = {
        "part": "model/encoder_only",
        "dim": 4,
        "bias": True,
        "dropout": 0.1,
        "norm": {"part": "norm/rms"},
        "encoder": {"part": "encoder/s", "norm": {"part": "norm/rms"}},
    }
    other = {
        "part": "model/encoder_only",
        "dim": 8,
        "bias": False,
        "dropout": 0.2,
        "norm": {"part": "norm/layer"},
        "encoder": {"part": "encoder/s", "norm": {"part": "norm/layer"}},
    }
    assert differences(saved, other, index.load()) == ["model.dim=4", "model.bias=true", "model/norm=rms"]
    assert differences(saved, saved, index.load()) == []


def test_an_option_that_a_saved_config_lacks_has_its_default(here, capsys):
    path = here / "config.yaml"
    config = yaml.safe_load(path.read_text())
    del config["model"]["pretrained"], config["model"]["encoder"]["attention"]["qk_norm"]
    path.write_text(yaml.safe_dump(config))
    figures = evaluate(here, [])
    assert figures["validation/accuracy"] == json.loads((here / "metrics.json").read_text())["validation/accuracy"]
    capsys.readouterr()
    predict(here, ["text=fine [MASK] lovely"])
    answer = capsys.readouterr().out
    assert "fine" in answer and "lovely" in answer


@pytest.mark.slow
def test_every_rank_loads_the_weights_and_has_the_metrics_of_one_process(here):
    words = [*PRETRAINING, f"model.pretrained={here}", "optimizer.lr=0.0", "trainer.accelerator=cpu", "data.test=text.txt"]
    words = [word for word in words if not word.startswith("tokenizer")]
    alone, both = train(*words, "trainer.devices=1"), forks.train(*words, "trainer=ddp")
    before, after = weights(here), weights(both)
    assert all(torch.equal(before[name], after[name]) for name in before)
    figures = [json.loads((run / "metrics.json").read_text()) for run in (alone, both)]
    assert figures[0].keys() == figures[1].keys()
    exact = ("test/accuracy", "validation/accuracy", "baseline/accuracy")
    assert [figures[0][name] for name in exact] == [figures[1][name] for name in exact]
    assert figures[0]["test/perplexity"] == pytest.approx(figures[1]["test/perplexity"], rel=1e-6)
