"""A module to export, with the names and symbolic shapes of its inputs and outputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from framework.errors import UserError

Shape = tuple[int | str, ...]  # a name is a symbolic size, the same wherever it occurs
Sizes = Mapping[str, int]  # values of symbolic sizes
TOLERANCE = 1e-4


@dataclass(frozen=True)
class TensorSpec:
    """An input or output.

    kind: `ids` are integers below `below`; `right_padding` and `left_padding` are padding masks; `values` are floats; `state` is an
    output that is an input of the next step.
    """

    name: str
    shape: Shape
    kind: Literal["ids", "right_padding", "left_padding", "values", "state"] = "values"
    below: int = 0

    @property
    def dtype(self) -> torch.dtype:
        return {"ids": torch.int64, "right_padding": torch.bool, "left_padding": torch.bool}.get(self.kind, torch.float32)

    def size(self, sizes: Sizes) -> list[int]:
        return [size if isinstance(size, int) else sizes[size] for size in self.shape]

    def example(self, sizes: Sizes, generator: torch.Generator) -> Tensor:
        """A random tensor; in a padding mask half of the first row is padding."""
        shape = self.size(sizes)
        if self.kind == "ids":
            return torch.randint(self.below, shape, generator=generator)
        if self.dtype != torch.bool:
            return torch.rand(shape, generator=generator)
        padding_mask, half = torch.ones(shape, dtype=torch.bool), shape[1] // 2
        padding_mask[0, slice(shape[1] - half, None) if self.kind == "right_padding" else slice(half)] = False
        return padding_mask


@dataclass(frozen=True)
class Program:
    """A module in evaluation mode with its inputs and outputs, in order.

    name: file name without suffix. limits: the maximum of symbolic sizes that have one.
    """

    name: str
    module: nn.Module
    inputs: Sequence[TensorSpec]
    outputs: Sequence[TensorSpec]
    limits: Sizes = field(default_factory=dict)

    def example(self, **sizes: int) -> tuple[Tensor, ...]:
        """Random inputs of these sizes."""
        generator = torch.Generator().manual_seed(sum(sizes.values()))
        return tuple(spec.example(sizes, generator) for spec in self.inputs)

    def sizes(self, number: int) -> dict[str, int]:
        """Sizes of example `number`, 0 to 2. Number 0 is for tracing: torch.export takes sizes of 0 and 1 for constants."""
        names = sorted({size for spec in self.inputs for size in spec.shape if isinstance(size, str)} - {"batch"})
        if number == 2 and "past" in names:  # the first step
            return {"batch": 1, **{name: 0 if name == "past" else 1 for name in names}}
        batch, first = [(3, 2), (5, 3), (1, 1)][number]
        return {"batch": batch, **{name: min(first + index, max(1, self.limits.get(name, 99) // 2)) for index, name in enumerate(names)}}

    def interface(self) -> dict[str, Any]:
        """Names, shapes and types of inputs and outputs, JSON-able."""
        return {
            side: {spec.name: {"shape": list(spec.shape), "type": str(spec.dtype).removeprefix("torch.")} for spec in specs}
            for side, specs in {"inputs": self.inputs, "outputs": self.outputs}.items()
        }


def export_program(program: Program) -> torch.export.ExportedProgram:
    """The program exported by torch for any value of its symbolic sizes. UserError: a part branches on a size or a value."""
    names = {size: torch.export.Dim(size, max=program.limits.get(size)) for size in program.sizes(0)}
    shapes = tuple({axis: names[size] for axis, size in enumerate(spec.shape) if isinstance(size, str)} for spec in program.inputs)
    example = program.example(**program.sizes(0))
    try:
        with torch.no_grad():  # with gradients, attention would be exported as another operator
            exported = torch.export.export(program.module, example, dynamic_shapes=group_state(program, shapes))
    except (torch._dynamo.exc.UserError, torch.fx.experimental.symbolic_shapes.GuardOnDataDependentSymNode) as error:
        reason = next((line.strip() for line in str(error).splitlines()[1:] if line.strip()), str(error))
        raise UserError(
            f"a part of this model cannot be exported for texts of any length: it branches on a size or a value.\n{reason[:300]}"
        ) from error
    for node in exported.graph.nodes:
        node.meta.pop("stack_trace", None)  # source lines, with paths of this machine
    return exported


def group_state(program: Program, values: Sequence[Any]) -> tuple[Any, ...]:
    """One entry for each parameter of the module's `forward`: the last one, `*tensors`, takes all inputs of kind `state`."""
    state = [value for spec, value in zip(program.inputs, values, strict=True) if spec.kind == "state"]
    others = [value for spec, value in zip(program.inputs, values, strict=True) if spec.kind != "state"]
    return (*others, tuple(state)) if state else tuple(others)


def compare(program: Program, outputs: Sequence[Tensor], inputs: Sequence[Tensor], expected: Sequence[Tensor], what: str) -> None:
    """UserError: outputs of an exported program differ from those of the model; values at padding are not compared."""
    padding_masks = {spec.shape[1]: tensor for spec, tensor in zip(program.inputs, inputs, strict=True) if spec.dtype == torch.bool}
    for spec, one, other in zip(program.outputs, outputs, expected, strict=True):
        one, other = one.double(), other.double()
        for axis, size in enumerate(spec.shape):
            if size in padding_masks:
                mask = padding_masks[size].view(len(one), *(-1 if dimension == axis else 1 for dimension in range(1, one.ndim)))
                one, other = one.where(mask, 0.0), other.where(mask, 0.0)
        worst = float((one - other).abs().max()) if one.shape == other.shape and one.numel() else 0.0
        if one.shape != other.shape or not worst <= TOLERANCE * max(1.0, float(other.abs().max()) if other.numel() else 0.0):
            raise UserError(
                f"{what} gives other numbers than the model: {spec.name} {tuple(one.shape)} differs by {worst:.2g}; nothing was written.\n"
                "A part of this model computes something that the graph does not contain."
            )
