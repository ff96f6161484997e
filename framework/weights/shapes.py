"""Comparing the weights of two models by name and shape."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Shapes = Mapping[str, tuple[int, ...]]


def shapes(state: "Mapping[str, Tensor]") -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in state.items()}


def mismatches(model: Shapes, file: Shapes) -> list[str]:
    """Differences between the weights of a model and of a file, one line for each kind; empty if there are none."""
    missing, unexpected = [name for name in model if name not in file], [name for name in file if name not in model]
    common = [name for name in model if name in file]
    other = [f"{name}: {file[name]} in the file, {model[name]} in the model" for name in common if model[name] != file[name]]
    kinds = {"not in the file": missing, "not in the model": unexpected, "of another shape": other}
    return [f"{what}: {few(names, most=1)}" for what, names in kinds.items() if names]


def few(names: Sequence[str], most: int = 3) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
