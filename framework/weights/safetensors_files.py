"""Safetensors files: tensors by name and a table of strings."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framework.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor, dtype

_TIED = "shared"  # key in the header's table: name -> the name under which the same tensor is saved


def open_safetensors(path: Path, framework: str = "pt", option: str = "") -> Any:
    """An open file, whose tensors are read one by one; framework: `pt`, or `np`, which needs no torch.

    option: `KEY=` of the option that names the file, for the message. UserError: truncated, damaged, or of another format.
    """
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(path, framework=framework)
    except (SafetensorError, OSError) as error:
        size = path.stat().st_size
        raise UserError(f"{option}{path} is truncated or damaged, or no safetensors file ({size:,} bytes): {error}") from None


def read_safetensors(path: Path, option: str = "") -> "tuple[dict[str, Tensor], dict[str, str]]":
    """The tensors of a file and its table of strings. option, UserError: see `open_safetensors`."""
    with open_safetensors(path, option=option) as file:
        return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118 - no mapping


def save_state(state: "Mapping[str, Tensor]", path: Path, type: "dtype") -> None:
    """Saves the state of a module, floating-point tensors in this type; a tensor with several names is saved once."""
    from safetensors.torch import save_file

    first: dict[tuple[int, tuple[int, ...]], str] = {}
    names = {name: first.setdefault((value.data_ptr(), tuple(value.shape)), name) for name, value in state.items() if value.numel()}
    tied = {name: other for name, other in names.items() if name != other}
    single = {name: value.detach().contiguous() for name, value in state.items() if name not in tied}
    tensors = {name: value.to(type) if value.is_floating_point() else value for name, value in single.items()}
    save_file(tensors, path, metadata={"format": "pt", _TIED: json.dumps(tied)})


def load_state(path: Path) -> "dict[str, Tensor]":
    """The state that `save_state` saved, under all its names. UserError: see `read_safetensors`."""
    tensors, metadata = read_safetensors(path)
    return tensors | {name: tensors[other] for name, other in json.loads(metadata.get(_TIED, "{}")).items() if other in tensors}
