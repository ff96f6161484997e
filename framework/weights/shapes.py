"""Comparing the weights of two models by name and shape."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

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


def other_types(file: "Mapping[str, Tensor]", model: "Mapping[str, Tensor] | None" = None) -> list[str]:
    """A line about weights of a file that are of another type than those of the model, which are floats if `model` is None: integers of
    quantized weights mean nothing without their scales, and complex numbers would lose a half. Floats of any size fit each other."""
    wrong = []
    for name, value in file.items():
        own = None if model is None else model[name].dtype
        floats = own is None or own.is_floating_point
        if is_float(value.dtype) != floats or (not floats and value.dtype != own):
            wrong.append(f"{name}: {type_name(value.dtype)} in the file, {'floats' if floats else type_name(own)} in the model")
    return [f"of another type: {few(wrong, most=1)}"] if wrong else []


def type_name(dtype: Any) -> str:
    """`float32` of torch.float32."""
    return str(dtype).removeprefix("torch.")


def is_float(dtype: Any) -> bool:
    """Whether a type of torch is one of those that weights are saved in: no 8-bit floats, which need a scale."""
    return type_name(dtype) in ("float64", "float32", "float16", "bfloat16")


def few(names: Sequence[str], most: int = 3) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
