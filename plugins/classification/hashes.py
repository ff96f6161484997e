"""Hashes of n-grams of tokens.

Shapes: B texts, T tokens.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import pad

_PRIME, _LARGEST = 1_000_003, 2**31 - 1


def hashed_ngrams(ids: Tensor, tokens: Tensor, order: int) -> Iterator[tuple[Tensor, Tensor]]:
    """For each length up to `order`, the hashes (B, T) of the n-grams that begin at each of ids, and whether they have all of their tokens.

    tokens: (B, T), True = token.
    """
    hashes, present = torch.zeros_like(ids), torch.ones_like(tokens)
    for distance in range(order):
        hashes = mixed(hashes, shifted(ids, distance))
        present = present & shifted(tokens, distance)
        yield hashes, present


def mixed(hashes: Tensor, ids: Tensor) -> Tensor:
    """The hashes of what continues with ids."""
    return (hashes * _PRIME + ids + 1) % _LARGEST


def shifted(values: Tensor, distance: int) -> Tensor:
    """values (B, T), each as many places further to the left; zeros follow."""
    return pad(values, (0, distance))[:, distance:]  # the other way round no program of any length is exported
