"""Scores of training texts by models that have not seen them.

Shapes: B texts, T tokens, R training texts, C scores.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from framework import Batch

_MULTIPLIERS = (-7046029254386353131, -4658895280553007687)  # of Steele et al. 2014, https://doi.org/10.1145/2660193.2660195


class HeldOutScores(nn.Module):
    """Scores of training texts, found by their tokens. Stacking: Wolpert 1992, https://doi.org/10.1016/S0893-6080(05)80023-1"""

    keys: Tensor  # (R,): ascending
    scores: Tensor  # (R, C)

    def __init__(self, outputs: int):
        super().__init__()
        self.register_buffer("keys", torch.zeros(1, dtype=torch.int64))
        self.register_buffer("scores", torch.zeros(1, outputs))

    def set(self, keys: Tensor, scores: Tensor) -> None:
        """keys: (R,) of `keys_of`. scores: (R, C)."""
        keys, order = keys.sort()
        self.keys, self.scores = keys.to(self.keys.device), scores[order].to(self.scores)

    def forward(self, batch: Batch) -> Tensor:
        """(B, C); 0 of texts that are none of the training texts."""
        keys = keys_of(batch)
        places = torch.searchsorted(self.keys, keys).clamp(max=len(self.keys) - 1)
        return self.scores[places] * (self.keys[places] == keys)[:, None]

    def _load_from_state_dict(self, state: Mapping[str, Any], prefix: str, *args: Any) -> None:
        """The number of training texts is that of the state."""
        for name in ("keys", "scores"):
            if (saved := state.get(prefix + name)) is not None:
                setattr(self, name, torch.empty_like(saved, device=self.keys.device))
        super()._load_from_state_dict(state, prefix, *args)  # type: ignore[arg-type]


def keys_of(batch: Batch) -> Tensor:
    """A number (B,) of the tokens of each text, whatever its padding; texts with the same tokens have the same."""
    ids, mask = batch["ids"], batch.get("padding_mask")
    positions = torch.arange(ids.shape[1], device=ids.device)
    mixed = (ids + 1) * _MULTIPLIERS[0] + positions * _MULTIPLIERS[1]
    mixed = (mixed ^ (mixed >> 29)) * _MULTIPLIERS[0]
    mixed = mixed ^ (mixed >> 32)
    return (mixed if mask is None else mixed * mask).sum(dim=1)
