"""Export to ONNX graphs, for onnxruntime and other runtimes. https://onnx.ai/onnx/repo-docs/IR.html

A task that labels is one graph. A task that generates has a graph of one decoding step, whose inputs and outputs include the caches; an
encoder is a graph of its own.
"""

import importlib.util
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from framework.errors import UserError
from framework.export.modules import DecoderStep
from framework.export.program import Program, compare, export_program, group_state
from framework.export.programs import LABELING, batch_program, exportable, incremental_programs, write_interface
from framework.runs.predictor import Predictor

LIBRARY = "onnx"
ONE_FILE = 1 << 30  # bytes; a protocol buffer holds at most two of these; larger weights go into a second file


def write(loaded: Predictor, folder: Path) -> list[str]:
    """Writes the graphs of a run with tokenizer and interface; returns the lines of Python that load them. UserError: a package is missing,
    the task does not support export, or a graph differs from the model."""
    missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f'to=onnx needs {" and ".join(missing)}: python -m pip install "plugformer[onnx]"')
    programs = incremental_programs(loaded)
    for program in programs:
        write_graph(program, folder / f"{program.name}.onnx")
    checked = importlib.util.find_spec("onnxruntime") is not None
    if checked:
        check(loaded, programs, folder)
    write_interface(loaded, programs, folder)
    return lines(programs, checked)


def write_graph(program: Program, path: Path) -> None:
    """Writes one graph. UserError: ONNX lacks an operator that a part uses."""
    exported = export_program(program)
    axes = [{axis: size for axis, size in enumerate(spec.shape) if isinstance(size, str)} for spec in program.inputs]
    size = sum(parameter.numel() * parameter.element_size() for parameter in program.module.parameters())
    try:
        with quiet(), torch.no_grad():
            torch.onnx.export(
                exported,
                f=str(path),
                input_names=[spec.name for spec in program.inputs],
                output_names=[spec.name for spec in program.outputs],
                dynamic_shapes=group_state(program, axes),
                external_data=size > ONE_FILE,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        operator = re.search(r"torch\.ops\.aten\.(\w+)", str(error))
        if operator is None:
            raise
        raise UserError(f"ONNX has no operator {operator[1]}, which a part of this model uses; to=torch exports it") from None


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress warnings of the exporter that no user can act on."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


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
    for part in [slice(0, 3), *(slice(start, start + 1) for start in range(3, ids.shape[1]))]:
        logits, *past = decoder([ids[:, part], padding_mask[:, part], past[0], *source, *past[1:]])
        steps.append(logits)
    compare(reference, [torch.cat(steps, dim=1)], inputs, [expected], "incremental decoding")


class Graph:
    """An ONNX graph in onnxruntime."""

    def __init__(self, program: Program, path: Path):
        import onnxruntime

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


def lines(programs: Sequence[Program], checked: bool) -> list[str]:
    *first, last = programs
    setup = ["import numpy", "import onnxruntime"]
    setup += [f'{program.name} = onnxruntime.InferenceSession("FOLDER/{program.name}.onnx")' for program in programs]
    setup += [] if checked else ["# these graphs were not checked: onnxruntime was not installed at the export"]
    if not isinstance(last.module, DecoderStep):
        inputs = ", ".join(f'"{spec.name}": {spec.name}' for spec in last.inputs)
        return [
            *setup,
            "",
            "# interface.json has shapes and types; tokenizer.json gives the ids",
            f"(scores,) = {last.name}.run(None, {{{inputs}}})",
        ]
    rest = ", **encoder_output}" if first else "}"
    step = [line.replace("MODEL", last.name).replace("**past}", f"**past{rest}") for line in DECODE]
    return [*setup, "", *(ENCODE if first else []), *step]


ENCODE = [
    "source = numpy.array([[0, 0]])  # ids of a text, from tokenizer.json",
    "source_padding_mask = numpy.ones_like(source, bool)  # False = padding, on the right",
    'encoder_output = encoder.run(None, {"source": source, "source_padding_mask": source_padding_mask})',
    "names = [output.name for output in encoder.get_outputs()]",
    'encoder_output = {"source_padding_mask": source_padding_mask, **dict(zip(names, encoder_output))}',
]
DECODE = [
    "ids = numpy.array([[0]])  # of the prompt, from tokenizer.json; then of each generated token",
    "padding_mask = numpy.ones_like(ids, bool)  # False = padding, on the left",
    'sizes = {"batch": len(ids), "past": 0}  # no past tokens: growing tensors are empty, others zero',
    'states = [spec for spec in MODEL.get_inputs() if spec.name.startswith("past")]',
    'types = {"tensor(bool)": "bool", "tensor(float)": "float32"}',
    "past = {spec.name: numpy.zeros([sizes.get(size, size) for size in spec.shape], types[spec.type]) for spec in states}",
    'logits, *present = MODEL.run(None, {"ids": ids, "padding_mask": padding_mask, **past})  # logits[:, -1] are of the next token',
    "past = dict(zip(past, present))  # input of the next step",
]
