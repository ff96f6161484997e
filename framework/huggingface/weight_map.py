"""Mapping between weight names of this framework and of a published family: one table for both directions."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Shape = tuple[int, ...]
Layout = Literal["same", "transposed", "row"]
_OLD_NAMES = {"gamma": "weight", "beta": "bias"}  # of norms, in files converted from TensorFlow


@dataclass(frozen=True)
class WeightMap:
    """A tensor of a published file, and the weight of this framework, or the several that it concatenates along the output dimension.

    name, hf_name: `#` stands for the number of a layer, `*` for `weight` or `bias`.
    layout: of the file's tensor: `transposed`, a matrix (in, out) as in GPT-2's Conv1D; `row`, a vector as a matrix (1, n).
    aliases: other names of the same tensor in files; read where `hf_name` is absent, never written.
    """

    name: str | tuple[str, ...]
    hf_name: str
    layout: Layout = "same"
    aliases: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,) if isinstance(self.name, str) else self.name


@dataclass(frozen=True)
class TensorSlice:
    """One weight as a slice of a file's tensor: part number `part` of `parts` equal ones, in a layout."""

    hf_name: str
    part: int = 0
    parts: int = 1
    layout: Layout = "same"

    @property
    def whole(self) -> bool:
        """Whether the weight is the file's tensor unchanged."""
        return self.parts == 1 and self.layout == "same"

    def shape(self, shape: Shape) -> Shape:
        """The weight's shape; shape: of the file's tensor."""
        if self.layout == "transposed":
            shape = shape[::-1]
        if self.layout == "row":
            shape = shape[1:]
        return (shape[0] // self.parts, *shape[1:]) if self.parts > 1 else shape

    def view(self, tensor: "Tensor") -> "Tensor":
        """The weight as a view into the file's tensor."""
        if self.layout == "transposed" and tensor.ndim == 2:
            tensor = tensor.t()
        if self.layout == "row":
            tensor = tensor[0]
        return tensor.chunk(self.parts)[self.part] if self.parts > 1 else tensor


class WeightTable:
    """The weight maps of a task. ignored: patterns (as in `WeightMap`) of tensors in files that are no weights."""

    def __init__(self, maps: Iterable[WeightMap], ignored: Iterable[str] = ()):
        self.maps = tuple(maps)
        self._ignored = [_pattern(name) for name in ignored]

    def from_hf(self, hf_names: Iterable[str]) -> tuple[dict[str, TensorSlice], list[str]]:
        """Weight name -> slice of a file's tensor; and the tensors of the file without a counterpart here."""
        slices: dict[str, TensorSlice] = {}
        hf_names, mapped = list(hf_names), set()
        for weight in self.maps:
            for pattern in map(_pattern, (weight.hf_name, *weight.aliases)):
                for hf_name in hf_names:
                    if match := pattern.fullmatch(hf_name):
                        mapped.add(hf_name)
                        groups = [_OLD_NAMES.get(group, group) for group in match.groups()]
                        for part, name in enumerate(weight.names):
                            slices.setdefault(_filled(name, groups), TensorSlice(hf_name, part, len(weight.names), weight.layout))
        unexpected = [name for name in hf_names if name not in mapped and not any(pattern.fullmatch(name) for pattern in self._ignored)]
        return slices, unexpected

    def to_hf(self, state: "Mapping[str, Tensor]") -> "Iterator[tuple[str, Tensor]]":
        """Name and tensor in the published layout; weights that `missing` names are left out."""
        import torch

        for weight, hf_name, groups in self._matches(state):
            tensors = [state[_filled(name, groups)] for name in weight.names]
            tensor = torch.cat(tensors) if len(tensors) > 1 else tensors[0]
            if weight.layout == "transposed" and tensor.ndim == 2:
                tensor = tensor.t()
            yield hf_name, tensor[None] if weight.layout == "row" else tensor

    def hf_names(self, names: Iterable[str]) -> set[str]:
        """Published names of weights."""
        return {hf_name for _, hf_name, _ in self._matches(names)}

    def missing(self, names: Iterable[str]) -> list[str]:
        """Weights without a counterpart in the published family."""
        patterns = [_pattern(name) for weight in self.maps for name in weight.names]
        return [name for name in names if not any(pattern.fullmatch(name) for pattern in patterns)]

    def _matches(self, names: Iterable[str]) -> Iterator[tuple[WeightMap, str, tuple[str, ...]]]:
        names = list(names)
        for weight in self.maps:
            for match in filter(None, map(_pattern(weight.names[0]).fullmatch, names)):
                yield weight, _filled(weight.hf_name, match.groups()), match.groups()


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(re.escape(name).replace(r"\#", r"(\d+)").replace(r"\*", "(weight|bias|gamma|beta)"))


def _filled(name: str, groups: Iterable[str]) -> str:
    for group in groups:
        name = re.sub(r"[#*]", group, name, count=1)
    return name
