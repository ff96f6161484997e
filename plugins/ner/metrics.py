"""Precision, recall and F1 of whole entities."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torchmetrics import Metric

from .schemes import Entity, Scheme, entities, parse, strict_entities


class SpanF1(Metric):
    """An entity is right if its first word, its last word and its type are. Tjong Kim Sang and De Meulder 2003, section 2.2,
    https://aclanthology.org/W03-0419

    Figures as seqeval's: `precision`, `recall`, `f1` over all entities, `f1_macro` the mean over the types that occur, `f1/TYPE`
    for each. Its states are counts, so that any split into batches and ranks gives the same figures.

    mode: default reads illegal sequences as conlleval does; strict takes only entities written as the scheme wants them.
    alone: what this process has seen is all; the others are not asked.
    """

    full_state_update = False
    higher_is_better = True
    counts: Tensor

    def __init__(self, types: Sequence[str], mode: Literal["default", "strict"] = "default", scheme: Scheme = "iob2", alone: bool = False):
        super().__init__(sync_on_compute=not alone)
        self.types, self.mode, self.scheme = tuple(types), mode, scheme
        self.numbers = {type: number for number, type in enumerate(self.types)}
        self.add_state("counts", torch.zeros(len(self.types), 3, dtype=torch.int64), dist_reduce_fx="sum")  # right, found, there

    def update(self, references: Sequence[Sequence[str]], predictions: Sequence[Sequence[str]]) -> None:
        """Tags of texts, a list for each."""
        added: Counter[tuple[str, int]] = Counter()
        for expected, predicted in zip(references, predictions, strict=True):
            assert len(expected) == len(predicted), f"{len(expected)} tags to find, {len(predicted)} predicted"
            there, found = set(self._entities(expected)), set(self._entities(predicted))
            for column, some in enumerate((there & found, found, there)):
                added.update((entity.type, column) for entity in some)
        for (type, column), count in added.items():
            self.counts[self.numbers[type], column] += count

    def _entities(self, tags: Sequence[str]) -> list[Entity]:
        read = [parse(tag) for tag in tags]
        return strict_entities(read, self.scheme) if self.mode == "strict" else entities(read)

    def compute(self) -> dict[str, Tensor]:
        rows = self.counts.tolist()
        right, found, there = (sum(row[column] for row in rows) for column in range(3))
        each = {type: _share(2 * row[0], row[1] + row[2]) for type, row in zip(self.types, rows, strict=True)}
        occurring = [each[type] for type, row in zip(self.types, rows, strict=True) if row[1] + row[2]]
        figures = {
            "precision": _share(right, found),
            "recall": _share(right, there),
            "f1": _share(2 * right, found + there),
            "f1_macro": _share(sum(occurring), len(occurring)),
            **{f"f1/{type}": figure for type, figure in each.items()},
        }
        return {name: torch.tensor(figure, dtype=torch.float64) for name, figure in figures.items()}


def _share(part: float, whole: float) -> float:
    """0 where there is nothing, as seqeval has it."""
    return part / whole if whole else 0.0
