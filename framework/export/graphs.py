"""ONNX graphs that were just written, held to what the model gives."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor

from framework.export.program import Program, compare
from framework.export.programs import LABELING, exportable, whole
from framework.runs.predictor import Predictor


def check(loaded: Predictor, programs: Sequence[Program], folder: Path) -> None:
    """Runs every graph on batches it was not made with, and writes a text by steps. UserError: a graph gives other numbers."""
    graphs = {program.name: Graph(program, folder / f"{program.name}.onnx") for program in programs}
    with torch.no_grad():
        for graph in graphs.values():
            for number in range(3):
                inputs = graph.program.example(**graph.program.sizes(number))
                expected = graph.program.module(*inputs)
                expected = [expected] if isinstance(expected, Tensor) else expected
                compare(graph.program, graph(inputs), inputs, expected, f"{graph.program.name}.onnx")
        if exportable(loaded).hf_task not in LABELING:
            check_steps(loaded, graphs)


def check_steps(loaded: Predictor, graphs: Mapping[str, "Graph"]) -> None:
    """A text that is read in pieces, three tokens and then one by one, has the scores of the whole text."""
    reference = whole(loaded)
    inputs = reference.example(batch=3, source=4, tokens=min(6, loaded.spec.max_length))
    (expected,) = [reference.module(*inputs)]
    ids, padding_mask = (inputs[0], inputs[1]) if len(inputs) == 2 else (inputs[2], torch.ones_like(inputs[2], dtype=torch.bool))
    steps = graphs["model" if len(inputs) == 2 else "decoder"]
    source = [] if len(inputs) == 2 else [inputs[1], *graphs["encoder"](inputs[:2])]
    past = steps.nothing(len(ids))
    logits = []
    for piece in [slice(0, 3), *(slice(at, at + 1) for at in range(3, ids.shape[1]))]:
        found, *past = steps([ids[:, piece], padding_mask[:, piece], past[0], *source, *past[1:]])
        logits.append(found)
    compare(reference, [torch.cat(logits, dim=1)], inputs, [expected], "the text written by steps")


class Graph:
    """A graph that runs."""

    def __init__(self, program: Program, path: Path):
        self.program = program
        self.session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def __call__(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        fed = {slot.name: value.numpy() for slot, value in zip(self.program.inputs, inputs, strict=True)}
        return [torch.from_numpy(value) for value in self.session.run(None, fed)]

    def nothing(self, batch: int) -> list[Tensor]:
        """What is kept of texts of which nothing is written."""
        sizes = {"batch": batch, "past": 0}
        slots = [slot for slot in self.program.inputs if slot.name.startswith("past")]
        return [torch.zeros(slot.size(sizes), dtype=slot.dtype) for slot in slots]
