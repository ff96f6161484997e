"""Comparing the weights of two models by name and shape."""

from collections.abc import Mapping
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
    return [
        f"{what}: {names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}"
        for what, names in (("not in the file", missing), ("not in the model", unexpected), ("of another shape", other))
        if names
    ]
