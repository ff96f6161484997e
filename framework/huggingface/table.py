"""The names of a published family's weights beside ours: one table, read in both directions."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Shape = tuple[int, ...]
Form = Literal["same", "turned", "row"]
_OLD = {"gamma": "weight", "beta": "bias"}  # of norms, in files that were made from TensorFlow's


@dataclass(frozen=True)
class Row:
    """One line: a weight of ours, or several that theirs holds one after the other, along what they put out.

    ours, theirs: names in which `#` is the number of a layer and `*` is `weight` or `bias`.
    form: how theirs lies: `turned`, a matrix of what goes in by what comes out (GPT-2); `row`, a vector as a matrix of one row.
    copies: other names under which files hold the same tensor; read where `theirs` is absent, never written.
    """

    ours: str | tuple[str, ...]
    theirs: str
    form: Form = "same"
    copies: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        return (self.ours,) if isinstance(self.ours, str) else self.ours


@dataclass(frozen=True)
class Piece:
    """Where a weight of ours lies in a file: the tensor's name, which of how many equal parts of it, and in which form."""

    theirs: str
    part: int = 0
    parts: int = 1
    form: Form = "same"

    @property
    def whole(self) -> bool:
        """Whether it is the file's tensor as it lies there."""
        return self.parts == 1 and self.form == "same"

    def shape(self, found: Shape) -> Shape:
        """Its shape, of the tensor's in the file."""
        if self.form == "turned":
            found = found[::-1]
        if self.form == "row":
            found = found[1:]
        return (found[0] // self.parts, *found[1:]) if self.parts > 1 else found

    def of(self, found: "Tensor") -> "Tensor":
        """A view into the file's tensor."""
        if self.form == "turned" and found.ndim == 2:
            found = found.t()
        if self.form == "row":
            found = found[0]
        return found.chunk(self.parts)[self.part] if self.parts > 1 else found


class Table:
    """rows: the table of a family. ignored: patterns (as in rows) of what files hold beside weights."""

    def __init__(self, rows: Iterable[Row], ignored: Iterable[str] = ()):
        self.rows = tuple(rows)
        self._ignored = [_pattern(name) for name in ignored]

    def ours(self, names: Iterable[str]) -> tuple[dict[str, Piece], list[str]]:
        """Our name -> where it lies among the file's names; and the names in the file that no row has."""
        found: dict[str, Piece] = {}
        names, known = list(names), set()
        for row in self.rows:
            for name in (row.theirs, *row.copies):
                pattern = _pattern(name)
                for held in names:
                    if match := pattern.fullmatch(held):
                        known.add(held)
                        for number, part in enumerate(row.parts):
                            ours = _filled(part, (_OLD.get(group, group) for group in match.groups()))
                            found.setdefault(ours, Piece(held, number, len(row.parts), row.form))
        left = [name for name in names if name not in known and not any(pattern.fullmatch(name) for pattern in self._ignored)]
        return found, left

    def theirs(self, state: "Mapping[str, Tensor]") -> "Iterator[tuple[str, Tensor]]":
        """Their names and tensors of weights under our names. A weight that no row has is left out: see `missing`."""
        import torch

        for row in self.rows:
            pattern = _pattern(row.parts[0])
            for ours in state:
                if match := pattern.fullmatch(ours):
                    tensors = [state[_filled(part, match.groups())] for part in row.parts]
                    tensor = torch.cat(tensors) if len(tensors) > 1 else tensors[0]
                    if row.form == "turned" and tensor.ndim == 2:
                        tensor = tensor.t()
                    yield _filled(row.theirs, match.groups()), tensor[None] if row.form == "row" else tensor

    def named(self, names: Iterable[str]) -> set[str]:
        """Their names for weights under our names."""
        names = list(names)
        found = set()
        for row in self.rows:
            pattern = _pattern(row.parts[0])
            found |= {_filled(row.theirs, match.groups()) for name in names if (match := pattern.fullmatch(name))}
        return found

    def missing(self, names: Iterable[str]) -> list[str]:
        """Names of ours that no row has."""
        patterns = [_pattern(part) for row in self.rows for part in row.parts]
        return [name for name in names if not any(pattern.fullmatch(name) for pattern in patterns)]


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(re.escape(name).replace(r"\#", r"(\d+)").replace(r"\*", "(weight|bias|gamma|beta)"))


def _filled(name: str, groups: Iterable[str]) -> str:
    for group in groups:
        name = re.sub(r"[#*]", group, name, count=1)
    return name
