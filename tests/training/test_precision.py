"""The precision of a run: chosen for the device where nobody has chosen one, explicit in its config, and told."""

import json

import pytest
import torch
import yaml

from framework.cli.train import main
from framework.config.compose import compose
from framework.utils import processors
from framework.workflows import precision
from framework.workflows.precision import slow_precision, with_precision
from framework.workflows.start import Start


@pytest.fixture
def bf16(monkeypatch):
    """A processor that multiplies bfloat16."""
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: True)


def configured(*words):
    return compose(["task=classification", "trainer.accelerator=cpu", *words]).config


def chosen(*words):
    config, lines = with_precision(configured(*words))
    return config["trainer"]["precision"], lines


def test_float32_where_the_processor_does_not_multiply_bfloat16(monkeypatch):
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: False)
    value, (line,) = chosen("model.dim=256")
    assert value == "32-true" and line.startswith("trainer.precision 32-true: ") and "bfloat16" in line


@pytest.mark.parametrize(("dim", "wanted"), [(128, "bf16-mixed"), (64, "32-true")])
def test_bfloat16_where_it_was_measured_to_be_faster(bf16, dim, wanted):
    value, (line,) = chosen(f"model.dim={dim}")
    assert value == wanted and line.startswith(f"trainer.precision {wanted}: ")


def test_what_was_not_measured_stays_float32(bf16, monkeypatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    config = configured("model.dim=256")
    config["trainer"]["accelerator"] = "auto"
    config, (line,) = with_precision(config)
    assert config["trainer"]["precision"] == "32-true" and "bf16-mixed" in line


@pytest.mark.parametrize("typed", ["32-true", "bf16-mixed", "64-true"])
def test_what_is_typed_stays(bf16, typed):
    assert chosen("model.dim=256", f"trainer.precision={typed}") == (typed, [])


def test_an_experiment_keeps_the_precision_of_its_figures(bf16):
    assert chosen("model.dim=256", "effort=fixed") == ("32-true", [])


def test_a_slow_precision_is_told(monkeypatch):
    config = configured("trainer.precision=bf16-mixed")
    for multiplies in (True, False):
        monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: multiplies)  # noqa: B023
        assert len(slow_precision(config)) == (not multiplies)
    assert "trainer.precision bf16-mixed: " in slow_precision(config)[0] and slow_precision(configured()) == []


@pytest.mark.parametrize(("known", "wanted"), [("avx512_bf16", True), ("amx_bf16", True), ("avx512_f", False)])
def test_a_processor_multiplies_bfloat16_where_it_has_the_instructions(monkeypatch, known, wanted):
    """oneDNN says that it supports bfloat16 wherever there is AVX-512, and computes it by way of float32 then."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"architecture": "x86_64", known: True})
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.setattr(processors, "onednn_multiplies", lambda: True)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")
    assert processors.multiplies_bfloat16.__wrapped__() is wanted
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert processors.multiplies_bfloat16.__wrapped__() is False


def test_a_run_saves_its_precision_and_keeps_it(tmp_path, monkeypatch, capsys):
    """Also where it goes on on another processor."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: True)
    words = ["task=classification", "data.limit=40", "model.dim=128", "model.num_layers=1", "trainer.max_epochs=1", "logger=none"]
    assert main([*words, "trainer.accelerator=cpu", "task.baseline=false", "report=false"]) == 0
    assert "trainer.precision bf16-mixed: " in capsys.readouterr().out
    saved = tmp_path / "runs/last"
    assert yaml.safe_load((saved / "config.yaml").read_text())["trainer"]["precision"] == "bf16-mixed"
    assert any(line.startswith("trainer.precision ") for line in json.loads((saved / "run.json").read_text())["settings"])
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: False)
    start = Start.of([f"resume={saved}", "trainer.max_epochs=2"])
    assert start.config["trainer"]["precision"] == "bf16-mixed"
    assert start.prepare().config["trainer"]["precision"] == "bf16-mixed" and not start.prepare().settings
