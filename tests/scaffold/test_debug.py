"""`debug=`: a run that shows one thing, quickly."""

import json
import re
from pathlib import Path

import pytest
import torch
from torch import nn

from framework.cli.train import main
from framework.config.compose import compose
from framework.errors import UserError
from framework.training.debugging import FiniteCheck, OneBatch

ROOT = Path(__file__).parents[2]
PRESETS = sorted(path.stem for path in (ROOT / "conf" / "debug").glob("*.yaml"))
MODEL = "model.dim=16 model.num_layers=1 model.num_heads=2 model.max_length=32 tokenizer=bytes trainer.accelerator=cpu".split()
FILES = ["data=files", "data.train=rows.csv", "data.validation=rows.csv", "data.test=rows.csv"]
WORDS = ["task=classification", *FILES, *MODEL, "callbacks.progress.style=off", "effort=fixed", "name=x"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    rows = [
        f"{word} {'and on ' * (number % 3)}{number},{label}" for number in range(20) for word, label in (("good", "yes"), ("bad", "no"))
    ]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label", *rows, ""]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_are_four():
    assert PRESETS == ["fast", "nan", "overfit", "profile"]


@pytest.fixture(scope="module")
def plain() -> dict:
    return compose(["experiment=trec", "data.folder=."]).config


@pytest.mark.parametrize("preset", PRESETS)
def test_it_comes_last_and_goes_with_every_task_and_experiment(preset, plain):
    debugged = compose(["experiment=trec", "data.folder=.", f"debug={preset}"]).config
    assert debugged["model"] == plain["model"] and debugged["optimizer"] == plain["optimizer"]
    assert debugged != plain and debugged["name"] == f"{plain['name']}_debug-{preset}"
    assert compose([f"debug={preset}", "task=translation", "logger=both", "trainer.max_steps=7"]).config["trainer"]["max_steps"] == 7


def test_fast_does_everything_in_a_few_steps(folder, capsys):
    assert main([*WORDS, "debug=fast"]) == 0
    run = folder / "runs" / "last"
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 3
    figures = json.loads((run / "metrics.json").read_text())
    assert {"validation/accuracy", "test/accuracy"} <= figures.keys()
    assert (run / "predictions.jsonl").read_text().count("\n") > 0 and not (run / "wandb").exists()


def test_overfit_brings_the_loss_of_one_batch_near_zero(folder, capsys):
    assert main([*WORDS, "debug=overfit", "task.dropout=0.5", "optimizer.lr=0.01"]) == 0
    said = re.search(r"the loss of one batch went from (\S+) to (\S+) in (\d+) steps: the model can learn\.", capsys.readouterr().out)
    assert said and float(said[2]) < 0.05 * float(said[1]) and int(said[3]) < 300


def test_overfit_tells_where_nothing_is_learned(folder, capsys):
    assert main([*WORDS, "debug=overfit", "optimizer.lr=1e-9", "trainer.max_steps=5"]) == 2
    assert re.search(r"in 5 steps: not near zero\. Check the wiring", capsys.readouterr().err)


def test_profile_writes_a_table_and_shows_its_head(folder, capsys):
    assert main([*WORDS, "debug=profile"]) == 0
    out = capsys.readouterr().out
    assert "ms a step:\noperation" in out and "The whole table: " in out
    shown = out[out.index("Of ") : out.index("The whole table")].splitlines()
    assert 8 <= len(shown) <= 20
    table = (folder / "runs" / "last" / "profile.txt").read_text()
    assert "aten::" in table and shown[2].split()[0][:20] in table


def test_nan_names_the_first_module(folder, capsys):
    """A message and exit code 2, no traceback."""
    assert main([*WORDS, "debug=nan", "optimizer=sgd", "optimizer.lr=900000", "trainer.gradient_clip_val=null"]) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said, said
    assert re.search(
        r"step \d+: the output of task\.model\.\S+ \(\w+\), .* has \d+ of [\d,]+ values that are (infinite|not a number)", said
    )


class Broken(nn.Module):
    """Divides by zero on the way forward, or on the way back."""

    def __init__(self, forward: bool):
        super().__init__()
        self.first, self.root, self.breaks = nn.Linear(2, 2), nn.Identity(), forward

    def forward(self, x):
        hidden = self.root(self.first(x) * 0)
        return (hidden / 0).sum() if self.breaks else hidden.abs().sqrt().sum()


def watched(module: nn.Module) -> nn.Module:
    check = FiniteCheck()
    for name, inner in module.named_modules():
        inner.register_forward_hook(check._check(f"{name} ({type(inner).__name__})", backward=True))
    return module


def test_what_breaks_on_the_way_forward_is_named():
    with pytest.raises(UserError, match=r"step 1: the output of  \(Broken\), .* has 1 of 1 values .*; its inputs reach 1"):
        watched(Broken(forward=True))(torch.ones(1, 2))


def test_what_breaks_on_the_way_back_is_named():
    loss = watched(Broken(forward=False))(torch.ones(1, 2))
    with pytest.raises(UserError, match=r"the gradient at root \(Identity\), the first in the backward pass, has 2 of 2"):
        loss.backward()


def test_near_zero_is_a_share_of_the_first_loss():
    assert OneBatch().enough < 0.1
