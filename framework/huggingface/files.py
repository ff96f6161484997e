"""Weights in the files of a published model, left on disk until they are used, and never executed.

`model.safetensors`, or its shards by `model.safetensors.index.json`; and where somebody asks for it, `pytorch_model.bin`.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framework.errors import UserError
from framework.huggingface.table import Shape

if TYPE_CHECKING:
    from torch import Tensor

SAFETENSORS, PICKLED = "model.safetensors", "pytorch_model.bin"
AT_ONCE = 16 << 20  # bytes of a file that are in memory at a time, beside the weights they go into


class WeightFiles:
    """Name -> tensor. shapes: of every tensor, read from the heads of the files."""

    shapes: Mapping[str, Shape]

    def pieces(self, name: str) -> "Iterator[Tensor]":
        """The tensor, a few rows at a time."""
        raise NotImplementedError

    def whole(self, name: str) -> "Tensor":
        """The tensor, as it lies in the file."""
        raise NotImplementedError


class SafetensorsFiles(WeightFiles):
    """One file or several. UserError: truncated, damaged, or not of this kind."""

    def __init__(self, files: list[Path]):
        self._home: dict[str, Path] = {}
        self.shapes = shapes = {}
        for path in files:
            with _opened(path, "np") as file:  # needs no torch, and reads no tensor
                for name in file.keys():  # noqa: SIM118 - no mapping
                    self._home[name] = path
                    shapes[name] = tuple(file.get_slice(name).get_shape())

    def pieces(self, name: str) -> "Iterator[Tensor]":
        """Every few rows are mapped by themselves: one mapping of the file would stay in memory as far as it was read."""
        rows = self.shapes[name][0] if self.shapes[name] else 0
        if not rows:
            yield self.whole(name)
            return
        with _opened(self._home[name]) as file:
            first = file.get_slice(name)[0:1]
        step = max(1, AT_ONCE // max(1, first.numel() * first.element_size()))
        for start in range(0, rows, step):
            with _opened(self._home[name]) as file:
                yield file.get_slice(name)[start : start + step]

    def whole(self, name: str) -> "Tensor":
        with _opened(self._home[name]) as file:
            return file.get_tensor(name)


class PickledFile(WeightFiles):
    """A file of `torch.save`, of which tensors alone are taken. UserError: it holds anything else, or is damaged."""

    def __init__(self, path: Path):
        from framework.weights.torch_files import read_tensors

        self._state = read_tensors(path)
        self.shapes = {name: tuple(value.shape) for name, value in self._state.items()}

    def pieces(self, name: str) -> "Iterator[Tensor]":
        yield self._state[name]

    def whole(self, name: str) -> "Tensor":
        return self._state[name]


def weight_files(folder: Path, pickled: str | None = None) -> WeightFiles:
    """The weights in a folder; pickled: the name of a file of `torch.save`, if that is asked for. UserError: there are none."""
    if pickled is not None:
        return PickledFile(folder / pickled)
    whole, index = folder / SAFETENSORS, folder / f"{SAFETENSORS}.index.json"
    if whole.is_file():
        return SafetensorsFiles([whole])
    if index.is_file():
        return SafetensorsFiles(_shards(index))
    if (folder / PICKLED).is_file():
        raise UserError(
            f"{folder} has its weights in {PICKLED} alone, a format that can hide code. Its tensors, and nothing else, are read "
            f"where you ask for them: model.pretrained={folder / PICKLED}"
        )
    raise UserError(f"{folder} has no weights: there is no {SAFETENSORS} and no {SAFETENSORS}.index.json in it")


def _shards(index: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise UserError(f"{index} is damaged: {error!r}") from None
    paths = [index.parent / name for name in names]
    lost = [path.name for path in paths if path.name != str(path.relative_to(index.parent)) or not path.is_file()]
    if lost:
        raise UserError(f"{index} names files that are not beside it: {', '.join(lost)}")
    return paths


def _opened(path: Path, framework: str = "pt") -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(path, framework=framework)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is truncated, damaged or no safetensors file ({path.stat().st_size:,} bytes): {error}") from None
