"""Fine-tuning from the command line: frozen and adapted models in every workflow, and exported adapters."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from framework.__main__ import main as framework_main
from framework.cli.train import main
from framework.errors import UserError
from framework.export.adapter import merge_adapter
from framework.pretrained.adapter_file import read_adapter, save_adapter
from framework.runs.checkpoint import load_weights
from framework.runs.freezing import trained
from framework.runs.predictor import Predictor
from framework.workflows.evaluate import evaluate
from tests.integration.conftest import CLASSIFICATION, copied, train, write_data, write_text

SMALL = [
    "model=small_encoder",
    "model.dim=16",
    "model.num_layers=2",
    "model.num_heads=2",
    "model.max_length=32",
    "callbacks.progress.style=off",
]
PRETRAINING = ["task=pretraining", *SMALL, "tokenizer=bpe", "tokenizer.vocab_size=300", "data=files", "data.train=text.txt"]
LABELED = [word for word in CLASSIFICATION if not word.startswith(("tokenizer", "model"))] + SMALL
LORA = ["model/adapter=lora", "model.adapter.rank=2", "optimizer.lr=0.01", "trainer.max_epochs=3"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with data, a pretraining run (base), a run with an adapter on top of it (tuned), and its adapter file."""
    folder = tmp_path_factory.mktemp("finetuning")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_data(folder)
        write_text(folder)
        base = train(*PRETRAINING, "trainer.max_steps=3").rename(folder / "base")
        tuned = train(*LABELED, "model.pretrained=base", *LORA).rename(folder / "tuned")
        loaded = Predictor.load(tuned)
        save_adapter(loaded.task, loaded.config, loaded.spec, folder / "one.safetensors")
    assert base.exists()
    return folder


@pytest.fixture
def here(made, tmp_path, monkeypatch):
    """A copy of that folder, as the current folder."""
    return copied(made, tmp_path, monkeypatch)


def refused(capsys, *words):
    before = set(Path("runs").rglob("config.yaml"))
    assert main([*LABELED, *words]) == 2
    assert set(Path("runs").rglob("config.yaml")) == before  # nothing on disk
    return capsys.readouterr().err


def weights(run):
    return load_weights(run / "checkpoints" / "last.ckpt")


def test_an_adapted_run_keeps_the_pretrained_weights(here):
    before, after = weights(Path("base")), weights(Path("tuned"))
    shared = [name for name in before if name.startswith("model.")]
    assert shared and all(torch.equal(before[name], after[name]) for name in shared)
    assert {name for name in after if name.endswith("lora_up") and after[name].any()} == {
        name for name in after if name.endswith("lora_up")
    }
    assert {name.split(".")[-2] for name in after if ".lora_" in name} == {"query", "value"}


def test_an_adapted_run_is_evaluated_and_resumed_with_its_adapter(here, capsys):
    shutil.rmtree("base")  # a run is complete by itself
    figures = evaluate(Path("tuned"), [])
    assert figures["test/loss"] == pytest.approx(json.loads(Path("tuned/metrics.json").read_text())["test/loss"])
    loaded = Predictor.load("tuned")
    assert trained(loaded.task).keys() == {name for name in loaded.task.state_dict() if ".lora_" in name or name.startswith("head.")}
    before = weights(Path("tuned"))
    assert main(["resume=tuned", "trainer.max_epochs=4"]) == 0
    said = capsys.readouterr().out
    assert "pretrained " not in said and "trained " in said
    changed = {name for name, value in weights(Path("tuned")).items() if not torch.equal(value, before[name])}
    assert changed == trained(loaded.task).keys()


def test_the_summary_counts_trained_parameters(here, capsys):
    train(*LABELED, "model.pretrained=base", *LORA, "trainer.max_steps=1")
    lines = capsys.readouterr().out.splitlines()
    count = sum(value.numel() for value in trained(Predictor.load("runs/last").task).values())
    assert any(line.startswith("trained ") and f" {count:,}  (" in line for line in lines)
    assert any(line.startswith("  newly initialized  model.encoder (8), head (2)") for line in lines)
    assert not any("new and frozen" in line for line in lines)


def test_a_merged_adapter_gives_the_same_predictions(here):
    loaded = Predictor.load("tuned")
    loaded.task.double()
    rows = [loaded.format.from_text(text) for text in ("fine great", "awful", "bleak lovely cold")]
    before = loaded.predict(rows)
    loaded = merge_adapter(loaded)
    loaded.task.double()
    assert not any(".lora_" in name for name in loaded.task.state_dict())
    for one, other in zip(before, loaded.predict(rows), strict=True):
        assert one["prediction"] == other["prediction"] and one["score"] == pytest.approx(other["score"], abs=1e-6)


def test_an_adapted_run_is_loaded_with_merged_weights(here, capsys):
    loaded = merge_adapter(Predictor.load("tuned"))
    train(*LABELED, "model.pretrained=tuned", "optimizer.lr=0.0", "trainer.max_steps=1")
    said = capsys.readouterr().out
    assert "newly initialized" not in said and "not used" not in said and "differs there" not in said
    found = weights(Path("runs/last"))
    assert found.keys() == loaded.task.state_dict().keys()
    assert all(torch.equal(value, found[name]) for name, value in loaded.task.state_dict().items())


def test_base_and_adapter_file_restore_the_adapted_run(here, capsys):
    saved, notes = load_file("one.safetensors"), safe_open("one.safetensors", "pt").metadata()
    assert saved.keys() == trained(Predictor.load("tuned").task).keys()
    adapter = json.loads(notes["notes"])["adapter"]
    assert (adapter["part"], adapter["rank"], adapter["alpha"], adapter["target_modules"]) == (
        "adapter/lora",
        2,
        16.0,
        ["*.query", "*.value"],
    )
    assert Path("one.safetensors").stat().st_size < 8000 < Path("tuned/checkpoints/best.ckpt").stat().st_size
    words = ["model.pretrained=base", "model.adapter.weights=one.safetensors", *LORA, "optimizer.lr=0.0", "seed=3"]
    train(*LABELED, *words)
    assert "adapter one.safetensors: 10 of 10 trained tensors loaded" in capsys.readouterr().out
    best, found = load_weights(Path("tuned/checkpoints/best.ckpt")), weights(Path("runs/last"))
    assert best.keys() == found.keys() and all(torch.equal(value, found[name]) for name, value in best.items())

    Path("one.safetensors").unlink()  # a fresh start alone reads it
    evaluate(Path("runs/last"), [])
    assert main(["resume=runs/last", "trainer.max_epochs=4"]) == 0


def test_another_task_loads_the_adapter_without_the_head(here, capsys):
    lines = Path("train.csv").read_text().splitlines()
    Path("train.csv").write_text("\n".join([*lines, "neither nor,neutral", ""]))
    words = ["model.pretrained=base", "model.adapter.weights=one.safetensors", *LORA, "trainer.max_steps=1"]
    train(*LABELED, *words)
    said = capsys.readouterr().out
    assert "adapter one.safetensors: 8 of 10 trained tensors loaded" in said and "  newly initialized  head.weight, head.bias" in said


FILE = "model.adapter.weights=one.safetensors"


@pytest.mark.matrix(0.5, axes=())
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["model.adapter.rank=4", FILE],
            ["of another shape: model.encoder.layers.0.attention.query.lora_down: (2, 16) in the file, (4"],
        ),
        (["model.adapter.rank=4", FILE], ["one.safetensors does not fit this model and adapter:", "'model.adapter.rank=2'"]),
        (
            ["model.adapter.rank=2", "model.adapter.alpha=4", FILE],
            ["does not fit", "The adapter in the file has: 'model.adapter.alpha=16.0'"],
        ),
        (
            ["model.adapter.rank=2", "model.adapter.target_modules=*.query", FILE],
            [
                "not in the model: model.encoder.layers.0.attention.value.lora_down and 3 more",
                '\'model.adapter.target_modules=["*.query", "*.value"]\'',
            ],
        ),
        (
            ["model.adapter.rank=2", "model.adapter.modules_to_save=*.norms.*", FILE],
            ["not in the file: model.encoder.layers.0.block.norms.0."],
        ),
        (["model.adapter.weights=missing"], ["model.adapter.weights=missing: there is no such file"]),
        (["model.adapter.weights=train.csv"], ["model.adapter.weights=train.csv is damaged, or no safetensors file"]),
        (
            ["model.adapter.target_modules=*.qurey"],
            ["model.adapter.target_modules: '*.qurey' matches no linear map of the model (did you mean '*.query"],
        ),
        (["model.freeze=haed.*"], ["model.freeze: 'haed.*' matches no parameter (did you mean 'head.*'?)"]),
        (["model.freeze=*"], ["model.freeze leaves nothing to train: *"]),
        (["model.freeze=[encoder.layers.[2-9].*]"], ["model.freeze: 'encoder.layers.[2-9].*' matches no parameter"]),
    ],
)
def test_mistakes_are_reported_before_there_is_a_folder(here, capsys, words, said):
    message = refused(capsys, "model.pretrained=base", "model/adapter=lora", *words)
    assert len(message.splitlines()) <= 6
    for part in said:
        assert part in message, message


def test_an_adapter_file_without_a_pretrained_model(here, capsys):
    assert "model.adapter.weights needs model.pretrained" in refused(capsys, "model/adapter=lora", FILE)


@pytest.mark.parametrize("damage", ["truncated", "foreign", "notes"])
def test_files_that_are_no_adapter(here, damage):
    content, state = Path("one.safetensors").read_bytes(), load_file("one.safetensors")
    if damage == "truncated":
        Path("one.safetensors").write_bytes(content[: len(content) // 2])
    else:
        save_file(state, "one.safetensors", {"format": "pt"} if damage == "foreign" else {"format": "plugformer adapter 1", "notes": "{}"})
    said = {
        "truncated": "is truncated or damaged",
        "foreign": "is no adapter of this program",
        "notes": "the description of the adapter is not complete",
    }
    with pytest.raises(UserError, match=said[damage]):
        read_adapter("one.safetensors")


def test_a_run_without_an_adapter_exports_none(here):
    loaded = Predictor.load("base")
    with pytest.raises(UserError, match="to=adapter needs a run with an adapter"):
        save_adapter(loaded.task, loaded.config, loaded.spec, Path("two.safetensors"))
    assert not Path("two.safetensors").exists()


def test_frozen_layers_and_rates_by_layer(here, capsys):
    words = ["model.pretrained=base", "optimizer.lr=0.001", "model.freeze=[tokens.*,encoder.layers.[0-0].*]", "trainer.max_steps=2"]
    train(*LABELED, *words, "optimizer.layer_decay=0.5", "optimizer.head_lr_multiplier=10", "optimizer.weight_decay=0.0")
    before, after = weights(Path("base")), weights(Path("runs/last"))
    same = {name for name in before if name in after and torch.equal(before[name], after[name])}
    assert same == {name for name in before if name.startswith(("model.tokens.", "model.encoder.layers.0."))}
    kept = torch.load("runs/last/checkpoints/last.ckpt", weights_only=True)["optimizer_states"][0]["param_groups"]
    # the head, the top layer, and positions below the one layer that is frozen
    assert [group["initial_lr"] for group in kept] == pytest.approx([0.01, 0.01, 0.001, 0.001, 0.00025])
    capsys.readouterr()
    for word, reason in (
        ("optimizer.layer_decay=0.9", "optimizer.layer_decay may not change: the saved optimizer state depends on it"),
        ("optimizer.head_lr_multiplier=1.0", "optimizer.head_lr_multiplier may not change"),
        ("model.freeze=null", "model.freeze may not change: the saved optimizer state depends on it"),
    ):
        assert main(["resume=runs/last", word]) == 2
        said = capsys.readouterr().err
        assert reason in said and len(said.splitlines()) == 1
    assert main(["resume=runs/last", "optimizer.lr=0.0", "trainer.max_steps=3"]) == 0
    assert all(torch.equal(value, after[name]) for name, value in weights(Path("runs/last")).items())


def test_new_and_frozen_parameters_are_reported(here, capsys):
    train(*LABELED, "model.pretrained=base", "model.freeze=head.weight", "trainer.max_steps=1")
    assert "  new and frozen     head.weight: they keep their random values" in capsys.readouterr().out


def test_check_counts_an_adapter(capsys):
    assert framework_main(["check", "task=classification", "model/adapter=lora", "model.adapter.rank=4"]) == 0
    said = capsys.readouterr().out
    (line,) = [line for line in said.splitlines() if line.startswith("trained ")]
    assert " of them)" in line and "gradients 0, optimizer 0" in said
