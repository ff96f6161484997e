"""Safetensors files: tensors by name and a table of strings."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framework.errors import UserError
from framework.utils.json_files import parse_json
from framework.utils.typed import fits
from framework.weights import checksums

if TYPE_CHECKING:
    from torch import Tensor, dtype

HEADER_LIMIT = 16 << 20  # bytes of the header, about 100 for each tensor
_TIED = "shared"  # key in the header's table: name -> the name under which the same tensor is saved


def open_safetensors(path: Path, framework: str = "pt", option: str = "") -> Any:
    """An open file, whose tensors are read one by one; framework: `pt`, or `np`, which needs no torch.

    option: `KEY=` of the option that names the file, for the message. UserError: truncated, damaged, or of another format.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise UserError(f"{option}{path}: there is no such file")
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            header = int.from_bytes(file.read(8), "little")
        if header > HEADER_LIMIT:
            raise UserError(f"{option}{path} is damaged, or no safetensors file: it announces a header of {header:,} bytes")
        return safe_open(path, framework=framework)
    except (SafetensorError, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{option}{path} is truncated or damaged, or no safetensors file ({size:,} bytes): {error}") from None


def read_safetensors(path: Path, option: str = "") -> "tuple[dict[str, Tensor], dict[str, str]]":
    """The tensors of a file and its table of strings. option, UserError: see `open_safetensors`; or a tensor lacks its checksum."""
    with open_safetensors(path, option=option) as file:
        metadata = dict(file.metadata() or {})
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    for name, expected in checksums.recorded(metadata, f"{option}{path}").items():
        if name in tensors:
            checksums.compare(name, checksums.checksum(tensors[name]), expected, f"{option}{path}")
    return tensors, metadata


def save_tensors(tensors: "Mapping[str, Tensor]", path: Path, metadata: Mapping[str, str]) -> None:
    """Writes a file with a checksum of every tensor in its header."""
    from safetensors.torch import save_file

    save_file(dict(tensors), path, {**metadata, checksums.KEY: checksums.checksums(tensors)})


def save_state(state: "Mapping[str, Tensor]", path: Path, type: "dtype") -> None:
    """Saves the state of a module, floating-point tensors in this type; a tensor with several names is saved once."""
    first: dict[tuple[int, tuple[int, ...]], str] = {}
    names = {name: first.setdefault((value.data_ptr(), tuple(value.shape)), name) for name, value in state.items() if value.numel()}
    tied = {name: other for name, other in names.items() if name != other}
    single = {name: value.detach().contiguous() for name, value in state.items() if name not in tied}
    tensors = {name: value.to(type) if value.is_floating_point() else value for name, value in single.items()}
    save_tensors(tensors, path, {"format": "pt", _TIED: json.dumps(tied)})


def load_state(path: Path) -> "dict[str, Tensor]":
    """The state that `save_state` saved, under all its names. UserError: see `read_safetensors`."""
    tensors, metadata = read_safetensors(path)
    tied = parse_json(metadata.get(_TIED, "{}"), path)
    if not fits(tied, dict[str, str]) or not tensors.keys() >= set(tied.values()):
        raise UserError(f"{path} is damaged: the names of shared tensors in its header are none")
    return tensors | {name: tensors[other] for name, other in tied.items()}
