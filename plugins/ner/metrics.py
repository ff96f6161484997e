"""Precision, recall and F1 of whole entities."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from framework import LabelCounts

from .schemes import entities, parse


class SpanF1(LabelCounts):
    """An entity is right if its first word, its last word and its type are. Tjong Kim Sang and De Meulder 2003, section 2.2,
    https://aclanthology.org/W03-0419

    Figures as seqeval's: `precision`, `recall`, `f1` over all entities, `f1_macro` the mean over the types that occur, `f1/TYPE`
    for each. A type that only the references have counts in all of them but has no figure of its own.
    """

    def __init__(self, types: Sequence[str], **options: Any):
        super().__init__(types, **options)

    def update(self, predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> None:
        """predictions, references: the tags of each text."""
        right: list[str] = []
        predicted: list[str] = []
        true: list[str] = []
        for predicted_tags, true_tags in zip(predictions, references, strict=True):
            assert len(true_tags) == len(predicted_tags), f"{len(true_tags)} reference tags, {len(predicted_tags)} predicted ones"
            wanted, found = (set(entities(map(parse, tags))) for tags in (true_tags, predicted_tags))
            for types, spans in ((right, wanted & found), (predicted, found), (true, wanted)):
                types += [entity.type for entity in spans]
        self.add(right, predicted, true)

    def compute(self) -> dict[str, Tensor]:
        figures = dict(zip(("precision", "recall", "f1"), self.micro(), strict=True))
        figures |= {"f1_macro": self.macro_f1(), **{f"f1/{type}": f1 for type, f1 in self.f1_of_each().items()}}
        return {name: torch.tensor(figure, dtype=torch.float64) for name, figure in figures.items()}
