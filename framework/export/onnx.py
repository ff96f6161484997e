"""A run as ONNX graphs, for onnxruntime and whatever else reads them.

A task that labels is one graph. One that writes goes on step by step: its graph takes the next tokens and what it kept of those before, and
gives scores and what it keeps now; with a source, a second graph reads that first. https://onnx.ai/onnx/repo-docs/IR.html
"""

import importlib.util
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from framework.errors import UserError
from framework.export.modules import Stepping
from framework.export.program import Program, nested, traced
from framework.export.programs import stepwise
from framework.export.sides import write_sides
from framework.runs.predictor import Predictor

LIBRARY = "onnx"
ONE_FILE = 1 << 30  # bytes; a protocol buffer ends at two of these, and larger weights lie beside it


def write(loaded: Predictor, folder: Path) -> list[str]:
    """Writes a graph for each program and what it takes to feed them. Gives the lines that load them. UserError: a package is missing; the
    task says nothing that a program could compute; or a graph computes something else."""
    missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f'to=onnx needs {" and ".join(missing)}: python -m pip install "plugformer[onnx]"')
    programs = stepwise(loaded)
    for program in programs:
        write_graph(program, folder / f"{program.name}.onnx")
    checked = importlib.util.find_spec("onnxruntime") is not None
    if checked:
        from framework.export.graphs import check

        check(loaded, programs, folder)
    write_sides(loaded, programs, folder)
    return lines(programs, checked)


def write_graph(program: Program, path: Path) -> None:
    exported = traced(program)
    axes = [{place: size for place, size in enumerate(slot.shape) if isinstance(size, str)} for slot in program.inputs]
    size = sum(parameter.numel() * parameter.element_size() for parameter in program.module.parameters())
    with quiet(), torch.no_grad():
        torch.onnx.export(
            exported,
            f=str(path),
            input_names=[slot.name for slot in program.inputs],
            output_names=[slot.name for slot in program.outputs],
            dynamic_shapes=nested(program, axes),
            external_data=size > ONE_FILE,
            verbose=False,
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Remarks of the exporter that no user can act on."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def lines(programs: Sequence[Program], checked: bool) -> list[str]:
    *first, last = programs
    found = ["import numpy", "import onnxruntime"]
    found += [f'{program.name} = onnxruntime.InferenceSession("FOLDER/{program.name}.onnx")' for program in programs]
    found += [] if checked else ["# these graphs were not checked: onnxruntime was not installed where they were exported"]
    if not isinstance(last.module, Stepping):
        fed = ", ".join(f'"{slot.name}": {slot.name}' for slot in last.inputs)
        return [
            *found,
            "",
            "# interface.json has shapes and types; tokenizer.json makes the ids",
            f"(scores,) = {last.name}.run(None, {{{fed}}})",
        ]
    more = ", **encoder_output}" if first else "}"
    step = [line.replace("MODEL", last.name).replace("**past}", f"**past{more}") for line in WRITE]
    return [*found, "", *(READ_SOURCE if first else []), *step]


READ_SOURCE = [
    "source = numpy.array([[0, 0]])  # ids of a text, by tokenizer.json",
    "source_padding_mask = numpy.ones_like(source, bool)  # where a shorter text of the batch is filled up on the right: False",
    'encoder_output = encoder.run(None, {"source": source, "source_padding_mask": source_padding_mask})',
    "names = [output.name for output in encoder.get_outputs()]",
    'encoder_output = {"source_padding_mask": source_padding_mask, **dict(zip(names, encoder_output))}',
]
WRITE = [
    "ids = numpy.array([[0]])  # of what is there already, by tokenizer.json; then of each token that is chosen",
    "padding_mask = numpy.ones_like(ids, bool)  # where a shorter text of the batch is filled up on the left: False",
    'sizes = {"batch": len(ids), "past": 0}  # nothing was read before: empty, or zero where nothing grows',
    'kept = [slot for slot in MODEL.get_inputs() if slot.name.startswith("past")]',
    'types = {"tensor(bool)": "bool", "tensor(float)": "float32"}',
    "past = {slot.name: numpy.zeros([sizes.get(size, size) for size in slot.shape], types[slot.type]) for slot in kept}",
    'logits, *present = MODEL.run(None, {"ids": ids, "padding_mask": padding_mask, **past})  # logits[:, -1] scores the next token',
    "past = dict(zip(past, present))  # goes in with the next token",
]
