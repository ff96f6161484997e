"""Weights by name and shape: what is compared of two models before any number is."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Shapes = Mapping[str, tuple[int, ...]]


def shapes(state: "Mapping[str, Tensor]") -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in state.items()}


def mismatches(own: Shapes, found: Shapes) -> list[str]:
    """How the weights of a file differ from a model's in names and shapes, a line for each kind of difference; empty: in nothing."""
    missing, foreign = [n for n in own if n not in found], [n for n in found if n not in own]
    other = [f"{name}: {found[name]} in the file, {own[name]} in the model" for name in own if name in found and own[name] != found[name]]
    return [
        f"{what}: {names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}"
        for what, names in (("not in the file", missing), ("not in the model", foreign), ("of another shape", other))
        if names
    ]
