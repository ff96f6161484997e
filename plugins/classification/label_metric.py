"""Figures of predicted labels."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework import LabelCounts, LabelSums


class LabelFigures(LabelCounts):
    """Figures of one label for each text, `accuracy`, macro `f1` and `mcc`; or of several, `micro_f1`, `macro_f1` and `subset_accuracy`.

    They are those of scikit-learn, with labels that only the references have among its labels. A macro F1 of one label for each text is
    the mean over the labels that are predicted or true, of several labels over all.
    """

    def __init__(self, labels: Sequence[str], several: bool, **options: Any):
        super().__init__(labels, **options)
        self.several = several

    def update(self, predictions: Sequence[str | Collection[str]], references: Sequence[str | Collection[str]]) -> None:
        pairs = [(_set(one), _set(other)) for one, other in zip(predictions, references, strict=True)]
        self.add([one & other for one, other in pairs], [one for one, _ in pairs], [other for _, other in pairs])

    def figures_of(self, counts: LabelSums) -> dict[str, NDArray[np.float64]]:
        if self.several:
            return {
                "micro_f1": counts.micro()[2],
                "macro_f1": counts.macro_f1(occurring=False),
                "subset_accuracy": counts.accuracy(),
            }
        return {"accuracy": counts.accuracy(), "f1": counts.macro_f1(), "mcc": mcc(counts)}


def mcc(counts: LabelSums) -> NDArray[np.float64]:
    """The Matthews correlation coefficient of K labels; 0 where all rows have one label, or one is predicted for all. Gorodkin 2004,
    https://doi.org/10.1016/j.compbiolchem.2004.09.006. Labels that only the references have count as one."""
    right, total = counts.rows.T
    _, predicted, true = np.concatenate((counts.labels, counts.others[:, None]), axis=1).transpose(2, 0, 1)  # (R, L + 1) each
    covariance = right * total - (predicted * true).sum(axis=1)
    spreads = [np.sqrt(total**2 - (each**2).sum(axis=1)) for each in (predicted, true)]  # of integers, below zero never
    spread = spreads[0] * spreads[1]
    return np.divide(covariance, spread, out=np.zeros_like(covariance), where=spread > 0)


def _set(labels: str | Collection[str]) -> set[str]:
    return {labels} if isinstance(labels, str) else set(labels)
