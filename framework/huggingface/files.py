"""Weight files of published models, read lazily and without executing code: `model.safetensors`, its shards (by
`model.safetensors.index.json`), and `pytorch_model.bin` where it is named.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from framework.errors import UserError
from framework.huggingface.weight_map import Shape
from framework.utils.json_files import read_table
from framework.utils.typed import require, shown
from framework.weights.checksums import checksum, compare, recorded
from framework.weights.safetensors_files import open_safetensors
from framework.weights.shapes import few, is_float, type_name

if TYPE_CHECKING:
    from torch import Tensor

SAFETENSORS, PICKLED = "model.safetensors", "pytorch_model.bin"
_FLOATS = ("F64", "F32", "F16", "BF16")  # types in the header of a file
CHUNK_BYTES = 16 << 20  # of a file in memory at a time, beside the weights they are copied into


class WeightFiles:
    """Tensors of one or several files by name. shapes: of every tensor, from the file headers. no_floats: the types of those that are no
    floating-point numbers of 16 bits or more."""

    shapes: Mapping[str, Shape]
    no_floats: Mapping[str, str]

    def chunks(self, name: str) -> "Iterator[Tensor]":
        """The tensor as successive chunks of its rows."""
        yield self.tensor(name)

    def tensor(self, name: str) -> "Tensor":
        """The whole tensor."""
        raise NotImplementedError


class SafetensorsFiles(WeightFiles):
    """Tensors of safetensors files. UserError: a file is truncated, damaged, or no safetensors file; or a tensor lacks the checksum that
    its file has of it."""

    def __init__(self, files: list[Path]):
        self._path_of: dict[str, Path] = {}
        self._checksums: dict[str, int] = {}
        self.shapes = shapes = {}
        self.no_floats = no_floats = {}
        for path in files:
            with open_safetensors(path, "np") as file:  # needs no torch, and reads no tensor
                self._checksums |= recorded(file.metadata() or {}, path)
                for name in file.keys():  # noqa: SIM118 - no mapping
                    self._path_of[name] = path
                    shapes[name] = tuple(file.get_slice(name).get_shape())
                    if (type := file.get_slice(name).get_dtype()) not in _FLOATS:
                        no_floats[name] = type

    def chunks(self, name: str) -> "Iterator[Tensor]":
        """Maps the file anew for every chunk: pages of one mapping would stay in memory once read."""
        rows = self.shapes[name][0] if self.shapes[name] else 0
        if not rows:
            yield self.tensor(name)
            return
        with open_safetensors(self._path_of[name]) as file:
            first = file.get_slice(name)[0:1]
        step, expected, found = max(1, CHUNK_BYTES // max(1, first.numel() * first.element_size())), self._checksums.get(name), 0
        for start in range(0, rows, step):
            with open_safetensors(self._path_of[name]) as file:
                chunk = file.get_slice(name)[start : start + step]
            found = found if expected is None else checksum(chunk, found)
            yield chunk
        compare(name, found, expected, self._path_of[name])

    def tensor(self, name: str) -> "Tensor":
        with open_safetensors(self._path_of[name]) as file:
            tensor = file.get_tensor(name)
        if (expected := self._checksums.get(name)) is not None:
            compare(name, checksum(tensor), expected, self._path_of[name])
        return tensor


class PickledFile(WeightFiles):
    """Tensors of a `torch.save` file; one that has several names, as tied weights do, by the first, as in a safetensors file.

    UserError: it is damaged, or holds anything but tensors.
    """

    def __init__(self, path: Path):
        from framework.weights.torch_files import read_tensors

        state = read_tensors(path)
        first: dict[tuple[int, Shape], str] = {}
        names = {name: first.setdefault((value.data_ptr(), tuple(value.shape)), name) for name, value in state.items() if value.numel()}
        self._state = {name: value for name, value in state.items() if names.get(name, name) == name}
        self.shapes = {name: tuple(value.shape) for name, value in self._state.items()}
        self.no_floats = {name: type_name(value.dtype) for name, value in self._state.items() if not is_float(value.dtype)}

    def tensor(self, name: str) -> "Tensor":
        return self._state[name]


def weight_files(folder: Path, pickled: str | None = None) -> WeightFiles:
    """The weights in a folder; pickled: name of the `torch.save` file to read instead. UserError: there are none."""
    if pickled is not None:
        return PickledFile(folder / pickled)
    whole, index = folder / SAFETENSORS, folder / f"{SAFETENSORS}.index.json"
    if whole.is_file():
        return SafetensorsFiles([whole])
    if index.is_file():
        return SafetensorsFiles(_shards(index))
    if (folder / PICKLED).is_file():
        raise UserError(
            f"{folder} has its weights only in {PICKLED}, a format that can hide code. To read its tensors and nothing else: "
            f"model.pretrained={folder / PICKLED}"
        )
    raise UserError(f"{folder} has no weights: neither {SAFETENSORS} nor {SAFETENSORS}.index.json")


def _shards(index: Path) -> list[Path]:
    """The files that an index names: names of files beside it, and not paths to other folders."""
    table = read_table(index)
    require(table, {"weight_map": dict[str, str]}, index)
    names = sorted(set(table["weight_map"].values()))
    if absent := [name for name in names if not name or Path(name).name != name or "\0" in name or not (index.parent / name).is_file()]:
        raise UserError(f"{index} names files that are not in its folder: {few([shown(name) for name in absent])}")
    return [index.parent / name for name in names]
