"""Mapping between weight names of this framework and of a published family: one table for both directions."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from framework.config.derived_defaults import effective

if TYPE_CHECKING:
    from torch import Tensor

_Array = TypeVar("_Array", bound=Any)  # of torch, or of numpy where shapes alone are wanted

Shape = tuple[int, ...]
Layout = Literal["same", "transposed", "row"]
Node = Mapping[str, Any]
_OLD_NAMES = {"gamma": "weight", "beta": "bias"}  # of norms, in files converted from TensorFlow


@dataclass(frozen=True)
class WeightMap:
    """A tensor of a published file, and the weight of this framework, or the several that it concatenates along the output dimension.

    name, hf_name: `#` stands for the number of a layer, `*` for `weight` or `bias`.
    layout: of the file's tensor: `transposed`, a matrix (in, out) as in GPT-2's Conv1D; `row`, a vector as a matrix (1, n).
    aliases: other names of the same tensor in files; read where `hf_name` is absent, never written.
    sizes: of several weights that are not equally long: options of the model to which their lengths are proportional.
    alternating: whether the rows of several weights take turns, instead of following one another.
    stack: an option of the model, the number of such weights in one tensor; the last `#` of `name` counts them.
    axis: along which they are stacked: a new first one, or the rows (0) or columns (1) of the file's matrix.
    """

    name: str | tuple[str, ...]
    hf_name: str
    layout: Layout = "same"
    aliases: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    alternating: bool = False
    stack: str | None = None
    axis: Literal["new", 0, 1] = "new"

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,) if isinstance(self.name, str) else self.name

    def parts(self, node: Node | None) -> list[range]:
        """The places of each weight in the tensor, of as many as the last range ends at. node: of the model, for `sizes`."""
        if self.alternating:
            return [range(number, len(self.names), len(self.names)) for number in range(len(self.names))]
        sizes = [int(effective(node, path)) for path in self.sizes] if self.sizes and node is not None else [1] * len(self.names)
        ends = list(accumulate(sizes))
        return [range(end - size, end) for end, size in zip(ends, sizes, strict=True)]

    def count(self, node: Node | None) -> int:
        """The number of weights in a stack."""
        assert self.stack is not None
        return int(effective(node, self.stack)) if node is not None else 1


@dataclass(frozen=True)
class TensorSlice:
    """One weight as a slice of a file's tensor: in a stack of `stacked` along `axis`, number `number`; of it the rows `rows` of `parts`
    equal ones, or every row that the step of `rows` says; in a layout."""

    hf_name: str
    rows: range = range(1)
    parts: int = 1
    layout: Layout = "same"
    number: int = 0
    stacked: int | None = None
    axis: Literal["new", 0, 1] = "new"

    @property
    def whole(self) -> bool:
        """Whether the weight is the file's tensor unchanged."""
        return self.parts == 1 and self.layout == "same" and self.stacked is None

    def fits(self, shape: Shape) -> bool:
        """Whether a tensor of this shape holds the weight: a vector or a matrix of at least one row."""
        if self.stacked is not None and self.axis == "new":
            if not shape or shape[0] != self.stacked:
                return False
            shape = shape[1:]
        if not 1 <= len(shape) <= 2 or (len(shape) < 2 and (self.layout == "row" or (self.stacked is not None and self.axis == 1))):
            return False
        if self.stacked is not None and self.axis != "new" and shape[self.axis] % self.stacked:
            return False
        return self.parts == 1 or self.shape(((self.stacked,) if self.axis == "new" and self.stacked else ()) + shape)[0] > 0

    def shape(self, shape: Shape) -> Shape:
        """The weight's shape; shape: of the file's tensor."""
        import numpy as np  # takes 0.1 s, and families are read where no weights are

        return tuple(self.view(np.broadcast_to(np.float32(0), shape)).shape)

    def view(self, tensor: "_Array") -> "_Array":
        """The weight as a view into the file's tensor."""
        if self.stacked is not None:
            tensor = tensor[self.number] if self.axis == "new" else self._piece(tensor)
        if self.layout == "transposed" and tensor.ndim == 2:
            tensor = tensor.T
        if self.layout == "row":
            tensor = tensor[0]
        if self.parts == 1:
            return tensor
        if self.rows.step > 1:
            return tensor[self.rows.start :: self.rows.step]
        size = tensor.shape[0] // self.parts
        return tensor[self.rows.start * size : self.rows.stop * size]

    def _piece(self, tensor: "_Array") -> "_Array":
        assert self.stacked is not None
        size = tensor.shape[int(self.axis)] // self.stacked
        own = slice(self.number * size, (self.number + 1) * size)
        return tensor[own] if self.axis == 0 else tensor[:, own]


class WeightTable:
    """The weight maps of a task. ignored: patterns (as in `WeightMap`) of tensors in files that are no weights. node: of the model, which
    says how many weights one tensor holds; None = that is not asked."""

    def __init__(self, maps: Iterable[WeightMap], ignored: Iterable[str] = (), node: Node | None = None):
        self.maps = tuple(maps)
        self._ignored = [_pattern(name) for name in ignored]
        self._node = node

    def from_hf(self, hf_names: Iterable[str]) -> tuple[dict[str, TensorSlice], list[str]]:
        """Weight name -> slice of a file's tensor; and the tensors of the file without a counterpart here."""
        slices: dict[str, TensorSlice] = {}
        hf_names, mapped = list(hf_names), set()
        for weight in self.maps:
            parts = weight.parts(self._node)
            total = parts[-1].stop
            for pattern in map(_pattern, (weight.hf_name, *weight.aliases)):
                for hf_name in hf_names:
                    if match := pattern.fullmatch(hf_name):
                        mapped.add(hf_name)
                        groups = [_OLD_NAMES.get(group, group) for group in match.groups()]
                        for name, rows in zip(weight.names, parts, strict=True):
                            if weight.stack is None:
                                slices.setdefault(_filled(name, groups), TensorSlice(hf_name, rows, total, weight.layout))
                                continue
                            count = weight.count(self._node)
                            for number in range(count):
                                piece = TensorSlice(hf_name, rows, total, weight.layout, number, count, weight.axis)
                                slices.setdefault(_filled(name, [*groups, str(number)]), piece)
        unexpected = [name for name in hf_names if name not in mapped and not any(pattern.fullmatch(name) for pattern in self._ignored)]
        return slices, unexpected

    def to_hf(self, state: "Mapping[str, Tensor]") -> "Iterator[tuple[str, Tensor]]":
        """Name and tensor in the published layout; weights that `missing` names are left out."""
        import torch

        for weight, hf_name, stacked in self._matches(state):
            pieces = [_joined([state[_filled(name, groups)] for name in weight.names], weight) for groups in stacked]
            if weight.stack is None:
                yield hf_name, pieces[0]
            else:
                yield hf_name, torch.stack(pieces) if weight.axis == "new" else torch.cat(pieces, dim=weight.axis)

    def hf_names(self, names: Iterable[str]) -> set[str]:
        """Published names of weights."""
        return {hf_name for _, hf_name, _ in self._matches(names)}

    def missing(self, names: Iterable[str]) -> list[str]:
        """Weights without a counterpart in the published family."""
        patterns = [_pattern(name) for weight in self.maps for name in weight.names]
        return [name for name in names if not any(pattern.fullmatch(name) for pattern in patterns)]

    def _matches(self, names: Iterable[str]) -> Iterator[tuple[WeightMap, str, list[tuple[str, ...]]]]:
        """The maps of weights, the published name of each tensor, and what stands for `#` and `*` in the names of the weights in it."""
        names = list(names)
        for weight in self.maps:
            tensors: dict[str, list[tuple[str, ...]]] = {}
            for match in filter(None, map(_pattern(weight.names[0]).fullmatch, names)):
                groups = match.groups() if weight.stack is None else match.groups()[:-1]
                tensors.setdefault(_filled(weight.hf_name, groups), []).append(match.groups())
            for hf_name, stacked in tensors.items():
                yield weight, hf_name, stacked if weight.stack is None else sorted(stacked, key=lambda groups: int(groups[-1]))


def _joined(tensors: "Sequence[Tensor]", weight: WeightMap) -> "Tensor":
    """The weights that follow one another in a file's tensor, in its layout."""
    import torch

    together = torch.stack(list(tensors), dim=1).flatten(0, 1) if weight.alternating else torch.cat(list(tensors))
    tensor = together if len(tensors) > 1 else tensors[0]
    if weight.layout == "transposed" and tensor.ndim == 2:
        tensor = tensor.t()
    return tensor[None] if weight.layout == "row" else tensor


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(re.escape(name).replace(r"\#", r"(\d+)").replace(r"\*", "(weight|bias|gamma|beta)"))


def _filled(name: str, groups: Iterable[str]) -> str:
    for group in groups:
        name = re.sub(r"[#*]", group, name, count=1)
    return name
