"""Check of exported ONNX graphs against the model."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor

from framework.export.program import Program, compare
from framework.export.programs import LABELING, batch_program, exportable
from framework.runs.predictor import Predictor


def check(loaded: Predictor, programs: Sequence[Program], folder: Path) -> None:
    """Run every graph on other sizes than those of its export, and decode a text in steps. UserError: outputs differ from the model's."""
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
    """Logits of incremental decoding, three tokens and then one by one, against those of the whole text."""
    reference = batch_program(loaded)
    inputs = reference.example(batch=3, source=4, tokens=min(6, loaded.spec.max_length))
    expected = reference.module(*inputs)
    ids, padding_mask = (inputs[0], inputs[1]) if len(inputs) == 2 else (inputs[2], torch.ones_like(inputs[2], dtype=torch.bool))
    decoder = graphs["model" if len(inputs) == 2 else "decoder"]
    source = [] if len(inputs) == 2 else [inputs[1], *graphs["encoder"](inputs[:2])]
    past = decoder.initial_state(len(ids))
    steps = []
    for piece in [slice(0, 3), *(slice(start, start + 1) for start in range(3, ids.shape[1]))]:
        logits, *past = decoder([ids[:, piece], padding_mask[:, piece], past[0], *source, *past[1:]])
        steps.append(logits)
    compare(reference, [torch.cat(steps, dim=1)], inputs, [expected], "incremental decoding")


class Graph:
    """An ONNX graph in onnxruntime."""

    def __init__(self, program: Program, path: Path):
        self.program = program
        self.session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def __call__(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        named = {spec.name: value.numpy() for spec, value in zip(self.program.inputs, inputs, strict=True)}
        return [torch.from_numpy(value) for value in self.session.run(None, named)]

    def initial_state(self, batch: int) -> list[Tensor]:
        """The past before the first token."""
        sizes = {"batch": batch, "past": 0}
        specs = [spec for spec in self.program.inputs if spec.name.startswith("past")]
        return [torch.zeros(spec.size(sizes), dtype=spec.dtype) for spec in specs]
