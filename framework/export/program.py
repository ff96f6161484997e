"""What is exported as a graph: a module that takes tensors alone, and what is known of their shapes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from framework.errors import UserError

Shape = tuple[int | str, ...]  # a name stands for any size, the same wherever it stands
Sizes = Mapping[str, int]  # of the names
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Slot:
    """An input or an output. kind: `ids` are numbers below `below`; `right` and `left` say what is a token and what fills up on that side;
    `numbers` are any; `kept` is what comes out of the program again to be put in."""

    name: str
    shape: Shape
    kind: Literal["ids", "right", "left", "numbers", "kept"] = "numbers"
    below: int = 0

    @property
    def dtype(self) -> torch.dtype:
        return {"ids": torch.int64, "right": torch.bool, "left": torch.bool}.get(self.kind, torch.float32)

    def size(self, sizes: Sizes) -> list[int]:
        return [size if isinstance(size, int) else sizes[size] for size in self.shape]

    def example(self, sizes: Sizes, generator: torch.Generator) -> Tensor:
        """A tensor for it. Half of the first row is filled up."""
        shape = self.size(sizes)
        if self.kind == "ids":
            return torch.randint(self.below, shape, generator=generator)
        if self.dtype != torch.bool:
            return torch.rand(shape, generator=generator)
        padding_mask, half = torch.ones(shape, dtype=torch.bool), shape[1] // 2
        padding_mask[0, slice(shape[1] - half, None) if self.kind == "right" else slice(half)] = False
        return padding_mask


@dataclass(frozen=True)
class Program:
    """A module in evaluation mode and its inputs and outputs, in their order.

    name: of its file. limits: the largest size that a name may stand for, where there is one.
    """

    name: str
    module: nn.Module
    inputs: Sequence[Slot]
    outputs: Sequence[Slot]
    limits: Sizes = field(default_factory=dict)

    def example(self, **sizes: int) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(sum(sizes.values()))
        return tuple(slot.example(sizes, generator) for slot in self.inputs)

    def sizes(self, number: int) -> dict[str, int]:
        """Sizes to try it with: the first ones are good to trace with, which takes 0 and 1 for sizes that never change."""
        names = sorted({size for slot in self.inputs for size in slot.shape if isinstance(size, str)} - {"batch"})
        if number == 2 and "past" in names:  # a step without a past
            return {"batch": 1, **{name: 0 if name == "past" else 1 for name in names}}
        batch, first = [(3, 2), (5, 3), (1, 1)][number]
        return {"batch": batch, **{name: min(first + place, max(1, self.limits.get(name, 99) // 2)) for place, name in enumerate(names)}}

    def interface(self) -> dict[str, Any]:
        """Names, shapes and types of inputs and outputs, JSON-able."""
        sides = {"inputs": self.inputs, "outputs": self.outputs}
        return {
            side: {slot.name: {"shape": list(slot.shape), "type": str(slot.dtype).removeprefix("torch.")} for slot in slots}
            for side, slots in sides.items()
        }


def traced(program: Program) -> torch.export.ExportedProgram:
    """The program as torch records it, for any size of what has a name. UserError: a part does otherwise by a size or a value."""
    names = {size: torch.export.Dim(size, max=program.limits.get(size)) for size in program.sizes(0)}
    shapes = tuple({axis: names[size] for axis, size in enumerate(slot.shape) if isinstance(size, str)} for slot in program.inputs)
    try:
        with torch.no_grad():  # attention is recorded otherwise where gradients are wanted
            exported = torch.export.export(program.module, program.example(**program.sizes(0)), dynamic_shapes=nested(program, shapes))
    except (torch._dynamo.exc.UserError, torch.fx.experimental.symbolic_shapes.GuardOnDataDependentSymNode) as error:
        reason = next((line.strip() for line in str(error).splitlines()[1:] if line.strip()), str(error))
        raise UserError(
            f"a part of this model cannot be exported for texts of any length: what it does depends on a size or a value.\n{reason[:300]}"
        ) from error
    for node in exported.graph.nodes:
        node.meta.pop("stack_trace", None)  # lines of source, by their path on this machine
    return exported


def nested(program: Program, shapes: Sequence[Any]) -> tuple[Any, ...]:
    """One entry for each parameter of the module's forward: what is kept comes in one, `*kept`."""
    kept = [shape for slot, shape in zip(program.inputs, shapes, strict=True) if slot.kind == "kept"]
    plain = [shape for slot, shape in zip(program.inputs, shapes, strict=True) if slot.kind != "kept"]
    return (*plain, tuple(kept)) if kept else tuple(plain)


def compare(program: Program, found: Sequence[Tensor], inputs: Sequence[Tensor], expected: Sequence[Tensor], what: str) -> None:
    """UserError: what an exported program gave is not what the model gives. What fills up is not looked at: nothing reads it."""
    padding_mask = {slot.shape[1]: tensor for slot, tensor in zip(program.inputs, inputs, strict=True) if slot.dtype == torch.bool}
    for slot, one, other in zip(program.outputs, found, expected, strict=True):
        one, other = one.double(), other.double()
        for axis, size in enumerate(slot.shape):
            if size in padding_mask:
                mask = padding_mask[size].view(len(one), *(-1 if place == axis else 1 for place in range(1, one.ndim)))
                one, other = one.where(mask, 0.0), other.where(mask, 0.0)
        worst = float((one - other).abs().max()) if one.shape == other.shape and one.numel() else 0.0
        if one.shape != other.shape or not worst <= TOLERANCE * max(1.0, float(other.abs().max()) if other.numel() else 0.0):
            raise UserError(
                f"{what} gives other numbers than the model: {slot.name} {tuple(one.shape)} differs by {worst:.2g}; nothing was written.\n"
                "A part of this model computes something that the graph does not have."
            )
