"""Input and output as one sequence, for a decoder.

Shapes: B batch, S tokens of the source, T tokens of the target, D model width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Joined:
    """Sequences of a source and a target without padding between them, padded on the right.

    ids, padding_mask: (B, S + T), True = token. places: (B, T), of the target's tokens in the sequence.
    """

    ids: Tensor
    padding_mask: Tensor
    places: Tensor

    def of_target(self, hidden: Tensor) -> Tensor:
        """The hidden states (B, T, D) of the target, of those (B, S + T, D) of the sequence."""
        return hidden.gather(1, self.places[:, :, None].expand(-1, -1, hidden.shape[2]))


def joined(source: Tensor, source_mask: Tensor | None, target: Tensor, target_mask: Tensor) -> Joined:
    """Joins source ids (B, S) and target ids (B, T), both padded on the right; masks: True = token, None = all are."""
    width, longest = source.shape[1], target.shape[1]
    lengths = torch.full_like(source[:, :1], width) if source_mask is None else source_mask.sum(dim=1, keepdim=True)  # (B, 1)
    columns = torch.arange(width + longest, device=source.device)[None]  # (1, S + T)
    taken = torch.where(columns < lengths, columns, columns - lengths + width).clamp(max=width + longest - 1)  # (B, S + T)
    ids = torch.cat((source, target), dim=1).gather(1, taken)
    is_token = columns < lengths + target_mask.sum(dim=1, keepdim=True)
    return Joined(ids, is_token, lengths + torch.arange(longest, device=source.device))
