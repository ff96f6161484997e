"""docs/python.md, and the README's Python, run as they stand in an empty folder."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[2]


def run(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names that the Python of a page leaves behind. The baseline of a run, which takes most of its time, is not fitted to the end."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr("plugins.classification.linear.ITERATIONS", 2)
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        if "@register" not in block:  # the README's example of a part, which tests/packaging builds
            exec(block, names)
    return names


@pytest.mark.slow
def test_the_page_runs(tmp_path, monkeypatch):
    names = run("docs/python.md", tmp_path, monkeypatch)
    assert names["logits"].shape == (2, 10, 261)
    assert "num_layers" in names["message"]
    assert names["label"] in names["predictor"].spec.labels and 0 <= names["score"] <= 1
    layers, (batch, length, width) = len(names["layers"]), names["final"].shape
    assert [state.shape for state in names["states"]] == [(batch, length, width)] * layers and (batch, width) == (1, 32)
    assert len(names["attention"].weights) == layers
    assert torch.allclose(names["first_layer"].sum(-1), torch.ones(batch, 4, length)) and len(names["tokens"]) == length
    assert names["losses"][-1] < names["losses"][0] and 0 <= names["accuracy"] <= 1


@pytest.mark.slow
def test_the_readme_runs(tmp_path, monkeypatch, capsys):
    names = run("README.md", tmp_path, monkeypatch)
    capsys.readouterr()
    (answer,) = names["load"](names["run"]).predict("def main(): pass")
    assert answer["prediction"] and capsys.readouterr() == ("", "")
