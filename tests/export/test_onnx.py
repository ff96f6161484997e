"""ONNX graphs, run by onnxruntime: the task's own numbers, whatever the position, and texts written step by step."""

import copy
import importlib.util
import itertools
import shutil

import onnx
import onnxruntime
import pytest
import torch

from framework.errors import UserError
from framework.export.onnx import Graph, write, write_graph
from framework.export.program import Program, TensorSpec
from framework.export.programs import incremental_programs
from framework.parts.caches import KVCache
from framework.runs.predictor import Predictor
from tests.export.runs import make_run
from tests.precision import rounds_like

POSITIONS = ("learned", "rotary", "alibi", "relative", "sinusoidal")
FAMILIES = {"ner": "encoder_only", "completion": "decoder_only", "translation": "encoder_decoder"}
VARIANTS = {
    "as it is": [],
    "grouped": ["model/attention=multi_query"],
    "window": ["model.STACK.window=2"],
    "linear": ["model/attention=linear"],
    "latent": ["model/attention=latent"],
    "differential": ["model/attention=differential"],
    "gated": ["model/feed_forward=gated", "model/norm=rms", "model/block=parallel", "model.embedding_dim=8"],
}
# A position with a bias or a window and linear attention are refused together, by mathematics.
MATRIX = [
    (task, position, variant)
    for task, position, variant in itertools.product(FAMILIES, POSITIONS, VARIANTS)
    if not (variant == "linear" and position in ("alibi", "relative"))
]
# What the suite exports, as an export takes seconds: every position, variant and family once. `whole` has the matrix.
EXPORTED = {
    "classification": ("sinusoidal", "linear"),
    "completion": ("rotary", "gated", *VARIANTS["grouped"]),
    "translation": ("relative", "window", "model/decoder/position=alibi"),
}


def made(folder, task, position="learned", variant="as it is", *words):
    stack = "encoder" if FAMILIES.get(task) == "encoder_only" else "decoder"
    options = [word.replace("STACK", stack) for word in VARIANTS[variant]]
    return Predictor.load(make_run(folder, task, f"model/position={position}", "model.num_layers=1", *options, *words))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Task -> a run, the folder of its graphs, and the lines that load them."""
    known: dict = {}

    def of(task):
        if task not in known:
            folder = tmp_path_factory.mktemp(task)
            words = ["task.decoding.max_new_tokens=6"] if task in ("completion", "translation") else []
            loaded = made(folder, task, *EXPORTED[task], *words)
            known[task] = loaded, folder, write(loaded, folder)
        return known[task]

    return of


@pytest.mark.parametrize("task", EXPORTED)
def test_a_sample_of_the_matrix(task, exported):
    """`write` compares, on other batches and lengths than the example's, and step by step with the whole text."""
    files = list(exported(task)[1].glob("*.onnx"))
    assert len(files) == (2 if task == "translation" else 1)
    for file in files:
        onnx.checker.check_model(file, full_check=True)


@pytest.mark.whole
@pytest.mark.parametrize(("task", "position", "variant"), MATRIX, ids=str)
def test_the_matrix(task, position, variant, tmp_path):
    write(made(tmp_path, task, position, variant), tmp_path)


@pytest.mark.parametrize("task", ["completion", "translation"])
def test_the_card_writes_what_the_engine_writes(task, exported):
    """The lines of the model card, run as they stand but for the ids, choose greedily what `predict` chooses."""
    loaded, folder, lines = exported(task)
    assert {path.name for path in folder.glob("*.onnx")} == ({"model.onnx"} if task == "completion" else {"encoder.onnx", "decoder.onnx"})
    source, prompt = [[70, 71, 72, 73, 2]], [[80, 81, 82]] if task == "completion" else [[1]]
    where = next(number for number, line in enumerate(lines) if line.startswith("ids = "))
    head = "\n".join(lines[:where]).replace("FOLDER", str(folder)).replace("[[0, 0]]", str(source))
    asked = next(number for number, line in enumerate(lines) if line.startswith("logits, "))
    before, step = "\n".join(lines[where:asked]).replace("[[0]]", str(prompt)), "\n".join(lines[asked:])
    space: dict = {}
    exec(f"{head}\n{before}", space)
    written = []
    for _ in range(6):
        exec(step, space)
        written.append(int(space["logits"][0, -1].argmax()))
        if written[-1] == loaded.spec.end:
            break
        space["ids"] = space["numpy"].array([[written[-1]]])
        space["padding_mask"] = space["numpy"].ones_like(space["ids"], bool)
    model = loaded.task.model
    encoder_output = model.encode(torch.tensor(source)) if task == "translation" else None
    decode = loaded.generator()
    ((best,),) = decode(model, torch.tensor(prompt), encoder_output=encoder_output)
    assert [id for id in written if id != loaded.spec.end] == best.ids


def test_padding_on_the_left_and_texts_of_other_lengths(exported):
    """Rows that stand at different places go on as each would alone."""
    loaded, folder, _ = exported("completion")
    (program,) = incremental_programs(loaded)
    graph, model = Graph(program, folder / "model.onnx"), loaded.task.model
    texts = [torch.randint(5, 261, (1, length)) for length in (4, 1)]
    ids = torch.cat([torch.nn.functional.pad(text, (4 - text.shape[1], 0)) for text in texts])
    padding_mask = torch.tensor([[True] * 4, [False] * 3 + [True]])
    past_padding_mask, *past = graph.initial_state(2)
    _, past_padding_mask, *past = graph([ids, padding_mask, past_padding_mask, *past])
    more = torch.randint(5, 261, (2, 1))
    logits, *_ = graph([more, torch.ones(2, 1, dtype=torch.bool), past_padding_mask, *past])
    with torch.no_grad():
        single, exact = (
            [each.logits(each(torch.cat((text, more[row : row + 1]), dim=1)))[0, -1] for row, text in enumerate(texts)]
            for each in (model, copy.deepcopy(model).double())
        )
    rounds_like(list(logits[:, -1]), single, exact)


def test_axes_are_named_in_the_graph(exported):
    _, folder, _ = exported("classification")
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    told = {slot.name: (slot.shape, slot.type) for slot in [*session.get_inputs(), *session.get_outputs()]}
    assert told == {
        "ids": (["batch", "tokens"], "tensor(int64)"),
        "padding_mask": (["batch", "tokens"], "tensor(bool)"),
        "scores": (["batch", 3], "tensor(float)"),
    }
    assert b"/framework/" not in (folder / "model.onnx").read_bytes()  # nor any other path of the machine that wrote it


# -- what cannot be is said ---------------------------------------------------------------------------------------------------


def missing(*names):
    find = importlib.util.find_spec
    return lambda name, *rest: None if name in names else find(name, *rest)


def test_missing_packages_are_named(tmp_path, monkeypatch):
    loaded = made(tmp_path, "classification")
    monkeypatch.setattr(importlib.util, "find_spec", missing("onnx", "onnxscript"))
    with pytest.raises(UserError, match=r'to=onnx needs onnx and onnxscript: python -m pip install "plugformer\[onnx\]"'):
        write(loaded, tmp_path)


class Solving(torch.nn.Module):
    """A module with an operator that ONNX lacks."""

    def forward(self, x):
        return torch.linalg.solve_triangular(torch.eye(3), x, upper=False)


def test_an_operator_that_onnx_lacks_is_named(tmp_path):
    spec = TensorSpec("x", ("batch", 3, 2))
    with pytest.raises(UserError, match="ONNX has no operator linalg_solve_triangular.*to=torch"):
        write_graph(Program("model", Solving(), [spec], [TensorSpec("y", ("batch", 3, 2))]), tmp_path / "model.onnx")


def test_an_attention_that_does_not_say_what_it_keeps_is_refused(tmp_path, monkeypatch):
    class Secret(KVCache):
        state = KVCache.__base__.state

    loaded = made(tmp_path, "completion")
    monkeypatch.setattr("framework.parts.attention.base.KVCache", Secret)
    with pytest.raises(UserError, match=r"Secret has no state and load_state.*; to=torch exports the model without a cache"):
        write(loaded, tmp_path)


def test_another_number_is_noticed_and_without_onnxruntime_it_is_said(exported, tmp_path, monkeypatch):
    loaded, folder, _ = exported("classification")
    right = type(loaded.task).export_forward
    monkeypatch.setattr(type(loaded.task), "export_forward", lambda self, batch: right(self, batch) + 0.5)
    monkeypatch.setattr("framework.export.onnx.write_graph", lambda program, path: shutil.copy(folder / path.name, path))
    with pytest.raises(UserError, match="model.onnx gives other numbers than the model: scores .* differs by 0.5"):
        write(loaded, tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", missing("onnxruntime"))
    monkeypatch.setattr("framework.export.onnx.write_graph", lambda program, path: None)
    assert "# these graphs were not checked: onnxruntime was not installed at the export" in write(loaded, tmp_path)
