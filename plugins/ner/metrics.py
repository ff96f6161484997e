"""Precision, recall and F1 of whole entities."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework import LabelCounts, LabelSums

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
        rows: tuple[list[list[str]], ...] = ([], [], [])  # types of the entities of each text: right, predicted, true
        for predicted_tags, true_tags in zip(predictions, references, strict=True):
            assert len(true_tags) == len(predicted_tags), f"{len(true_tags)} reference tags, {len(predicted_tags)} predicted ones"
            wanted, found = (set(entities(map(parse, tags))) for tags in (true_tags, predicted_tags))
            for types, spans in zip(rows, (wanted & found, found, wanted), strict=True):
                types.append([entity.type for entity in spans])
        self.add(*rows)

    def figures_of(self, counts: LabelSums) -> dict[str, NDArray[np.float64]]:
        figures = dict(zip(("precision", "recall", "f1"), counts.micro(), strict=True))
        each = {f"f1/{type}": counts.f1_of_each()[:, number] for number, type in enumerate(self.labels)}
        return {**figures, "f1_macro": counts.macro_f1(), **each}
