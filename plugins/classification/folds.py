"""Folds of the training texts.

Shapes: B texts.
"""

import torch
from torch import Tensor

from framework import Batch

FOLDS = 5
_MULTIPLIERS = (-7046029254386353131, -4658895280553007687)  # of Steele et al. 2014, https://doi.org/10.1145/2660193.2660195


def fold_of(batch: Batch) -> Tensor:
    """The fold (B,) of each text, by its tokens, whatever its padding: equal texts share a fold."""
    ids, mask = batch["ids"], batch.get("padding_mask")
    positions = torch.arange(ids.shape[1], device=ids.device)
    mixed = (ids + 1) * _MULTIPLIERS[0] + positions * _MULTIPLIERS[1]
    mixed = (mixed ^ (mixed >> 29)) * _MULTIPLIERS[0]
    mixed = mixed ^ (mixed >> 32)
    return ((mixed if mask is None else mixed * mask).sum(dim=1) >> 8) % FOLDS
