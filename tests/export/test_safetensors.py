"""WeightReader under our own names: what is loaded says what the run says."""

import pytest
import torch
from safetensors.torch import load_file

from framework.errors import UserError
from framework.export.safetensors import write
from framework.runs.predictor import Predictor
from framework.weights.safetensors_files import load_state
from tests.export.runs import TASKS, make_run

TEXTS = ["good and plain", "a", "Anna went to Paris with nobody"]


def answers(loaded):
    return loaded.predict(TEXTS)


@pytest.mark.parametrize("task", TASKS)
def test_what_is_loaded_predicts_the_same(task, tmp_path):
    known = Predictor.load(make_run(tmp_path, task))
    write(known, tmp_path)
    loaded = Predictor.load(tmp_path)
    assert answers(loaded) == answers(known)
    assert loaded.config == known.config and loaded.spec == known.spec and not loaded.task.training
    assert load_file(tmp_path / "model.safetensors").keys() == known.task.state_dict().keys()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_smaller_types_are_rounded_once(dtype, tmp_path):
    known = Predictor.load(make_run(tmp_path, "classification"))
    write(known, tmp_path, dtype)
    assert {value.dtype for value in load_file(tmp_path / "model.safetensors").values()} == {getattr(torch, dtype)}
    state = Predictor.load(tmp_path).task.state_dict()
    assert all(torch.equal(value.to(getattr(torch, dtype)).float(), state[name]) for name, value in known.task.state_dict().items())


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    write(Predictor.load(make_run(folder, "classification")), folder)
    return {name: (folder / name).read_bytes() for name in ("model.safetensors", "config.yaml", "data_spec.json", "tokenizer.json")}


@pytest.fixture
def folder(exported, tmp_path):
    for name, content in exported.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model.safetensors", "has no checkpoint"),
        ("config.yaml", "has no config.yaml"),
        ("data_spec.json", "data_spec.json is missing"),
        ("tokenizer.json", "tokenizer.json is missing"),
    ],
)
def test_a_missing_file_is_named(folder, name, said):
    (folder / name).unlink()
    with pytest.raises(UserError, match=said):
        Predictor.load(folder)


def test_damaged_and_foreign_weights_are_refused(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(UserError, match=r"model.safetensors is truncated or damaged, or no safetensors file \([\d,]+ bytes\)"):
        Predictor.load(folder)
    write(Predictor.load(make_run(folder, "classification", "model.num_layers=1")), folder)
    (folder / "config.yaml").write_text((folder / "config.yaml").read_text().replace("num_layers: 1", "num_layers: 2"))
    with pytest.raises(UserError, match="holds the weights of another model"):
        Predictor.load(folder)


def test_a_tensor_with_two_names_is_saved_once(tmp_path):
    known = Predictor.load(make_run(tmp_path, "classification"))
    layers = known.task.model.encoder.layers
    layers[1].feed_forward = layers[0].feed_forward
    write(known, tmp_path)
    first, other = (f"model.encoder.layers.{layer}.feed_forward" for layer in (0, 1))
    saved = load_file(tmp_path / "model.safetensors")
    assert any(name.startswith(first) for name in saved) and not any(name.startswith(other) for name in saved)
    state = load_state(tmp_path / "model.safetensors")
    assert state.keys() == known.task.state_dict().keys()
    assert all(torch.equal(state[name], value) for name, value in known.task.state_dict().items())
