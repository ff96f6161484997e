"""Precision, recall and F1 of whole entities."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from .schemes import entities, parse


class SpanF1(Metric):
    """An entity is right if its first word, its last word and its type are. Tjong Kim Sang and De Meulder 2003, section 2.2,
    https://aclanthology.org/W03-0419

    Figures as seqeval's: `precision`, `recall`, `f1` over all entities, `f1_macro` the mean over the types that occur, `f1/TYPE`
    for each. Its states are counts, so that any split into batches and ranks gives the same figures. options: of `Metric`.
    """

    full_state_update = False
    higher_is_better = True
    counts: Tensor

    def __init__(self, types: Sequence[str], **options: Any):
        super().__init__(**options)
        self.types = tuple(types)
        self.numbers = {type: number for number, type in enumerate(self.types)}
        self.add_state("counts", torch.zeros(len(self.types), 3, dtype=torch.int64), dist_reduce_fx="sum")  # right, predicted, true

    def update(self, predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> None:
        """predictions, references: the tags of each text."""
        added: Counter[tuple[str, int]] = Counter()
        for predicted_tags, true_tags in zip(predictions, references, strict=True):
            assert len(true_tags) == len(predicted_tags), f"{len(true_tags)} reference tags, {len(predicted_tags)} predicted ones"
            true, predicted = (set(entities(map(parse, tags))) for tags in (true_tags, predicted_tags))
            for column, counted in enumerate((true & predicted, predicted, true)):
                added.update((entity.type, column) for entity in counted)
        for (type, column), count in added.items():
            self.counts[self.numbers[type], column] += count

    def compute(self) -> dict[str, Tensor]:
        rows = self.counts.tolist()
        right, predicted, true = self.counts.sum(dim=0).tolist()
        each = {type: _share(2 * row[0], row[1] + row[2]) for type, row in zip(self.types, rows, strict=True)}
        occurring = [each[type] for type, row in zip(self.types, rows, strict=True) if row[1] + row[2]]
        figures = {
            "precision": _share(right, predicted),
            "recall": _share(right, true),
            "f1": _share(2 * right, predicted + true),
            "f1_macro": _share(sum(occurring), len(occurring)),
            **{f"f1/{type}": figure for type, figure in each.items()},
        }
        return {name: torch.tensor(figure, dtype=torch.float64) for name, figure in figures.items()}


def _share(part: float, whole: float) -> float:
    """0 / 0 is 0, as in seqeval."""
    return part / whole if whole else 0.0
