"""Batches that begin with short rows."""

from typing import ClassVar

import numpy as np

from framework import Batches, register


@register("batches")
class SpecimenBatches(Batches):
    """A curriculum: the first epochs go from short rows to long ones, later ones are shuffled. Platanios et al. 2019,

    https://arxiv.org/abs/1903.09848

    rows: rows in a batch of each process.
    sorted_epochs: number of epochs in which rows are sorted by length.
    """

    rules: ClassVar[dict[str, str]] = {"rows >= 1": "rows must be at least 1", "sorted_epochs >= 0": "sorted_epochs must not be negative"}

    def __init__(self, rows: int = 32, sorted_epochs: int = 1):
        self.rows, self.sorted_epochs = rows, sorted_epochs

    def plan_batches(self, lengths, seed, epoch, world_size, shuffle):
        """Row numbers of every global batch of an epoch, those of all processes together: a function of the arguments alone."""
        if not shuffle:
            rows = np.arange(len(lengths))
        elif epoch < self.sorted_epochs:
            rows = np.argsort(lengths, kind="stable")
        else:
            rows = np.random.default_rng((seed, epoch)).permutation(len(lengths))
        size = self.rows * world_size
        return [rows[start : start + size] for start in range(0, len(rows), size)]
