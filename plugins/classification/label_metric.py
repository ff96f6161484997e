"""Figures of predicted labels."""

import math
import operator
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from framework import LabelCounts


class LabelFigures(LabelCounts):
    """Figures of one label for each text, `accuracy`, macro `f1` and `mcc`; or of several, `micro_f1`, `macro_f1` and `subset_accuracy`.

    They are those of scikit-learn, with labels that only the references have among its labels. A macro F1 of one label for each text is
    the mean over the labels that are predicted or true, of several labels over all.
    """

    rows: Tensor  # (2,): of which the labels are right, and all

    def __init__(self, labels: Sequence[str], several: bool, **options: Any):
        super().__init__(labels, **options)
        self.several = several
        self.add_state("rows", torch.zeros(2, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predictions: Sequence[str | Collection[str]], references: Sequence[str | Collection[str]]) -> None:
        pairs = [(_set(one), _set(other)) for one, other in zip(predictions, references, strict=True)]
        self.add(
            [label for one, other in pairs for label in one & other],
            [label for one, _ in pairs for label in one],
            [label for _, other in pairs for label in other],
        )
        self.rows += torch.tensor([sum(one == other for one, other in pairs), len(pairs)], device=self.rows.device)

    def compute(self) -> dict[str, Tensor]:
        right, total = self.rows.tolist()
        accuracy = right / total if total else 0.0
        if self.several:
            figures = {"micro_f1": self.micro()[2], "macro_f1": self.macro_f1(occurring=False), "subset_accuracy": accuracy}
        else:
            figures = {"accuracy": accuracy, "f1": self.macro_f1(), "mcc": self.mcc()}
        return {name: torch.tensor(figure, dtype=torch.float64) for name, figure in figures.items()}

    def mcc(self) -> float:
        """The Matthews correlation coefficient of K labels; 0 where all rows have one label, or one is predicted for all. Gorodkin 2004,
        https://doi.org/10.1016/j.compbiolchem.2004.09.006. Labels that only the references have count as one."""
        right, total = self.rows.tolist()
        _, predicted, true = torch.cat((self.counts, self.others[None])).T.tolist()
        covariance = right * total - sum(map(operator.mul, predicted, true))
        spread = (total**2 - sum(count**2 for count in predicted)) * (total**2 - sum(count**2 for count in true))
        return covariance / math.sqrt(spread) if spread else 0.0


def _set(labels: str | Collection[str]) -> set[str]:
    return {labels} if isinstance(labels, str) else set(labels)
