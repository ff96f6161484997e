"""Summary of attention weights by head."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from framework.explaining.recording import Array, HeadWeights


@dataclass(frozen=True)
class Look:
    """Average attention of the queries of a head: the share of weight on the token itself, the one before, the one behind, and the first
    key; NaN where keys and queries are of two texts. spread: the exponential of the entropy of the weights, about how many keys share them.
    query, key, most: the places of the largest weight on another token, and that weight."""

    head: int
    itself: float
    before: float
    behind: float
    first: float
    spread: float
    query: int
    key: int
    most: float


def looks(attention: HeadWeights) -> list[Look]:
    """Summaries of the heads of a layer, in their order, from 1."""
    return [_look(number, weights, attention.kind == "self") for number, weights in enumerate(attention.weights, 1)]


def _look(number: int, weights: Array, own: bool) -> Look:
    count = len(weights)
    itself, before, behind = (float(np.diagonal(weights, offset).sum() / count) if own else float("nan") for offset in (0, -1, 1))
    logs = np.log(weights, out=np.zeros_like(weights), where=weights > 0)
    spread = float(np.exp(-(weights * logs).sum(axis=1)).mean())
    others = np.where(np.eye(*weights.shape, dtype=np.bool_), -1.0, weights) if own and weights.size > 1 else weights
    query, key = (int(place) for place in np.unravel_index(int(others.argmax()), weights.shape))
    most = float(weights[query, key])
    return Look(number, itself, before, behind, float(weights[:, 0].mean()), spread, query, key, most)


def chosen(attention: Sequence[HeadWeights], layer: int | None, head: int | None) -> list[tuple[str, HeadWeights, Array]]:
    """One map (T, S) for each stack and kind of attention, with its name: of a layer (None = the last) and a head (None = the mean of all).
    Layers and heads count from 1; one that is not there is left out."""
    found = []
    for stack, kind in dict.fromkeys((each.stack, each.kind) for each in attention):
        layers = [each for each in attention if (each.stack, each.kind) == (stack, kind)]
        here = [each for each in layers if each.layer == (layers[-1].layer if layer is None else layer)]
        if not here or (head is not None and head > len(here[0].weights)):
            continue
        each = here[0]
        what = f"head {head}" if head is not None else f"mean of {len(each.weights)} heads"
        weights = each.weights.mean(axis=0) if head is None else each.weights[head - 1]
        found.append((f"{stack}, {kind}-attention, layer {each.layer} of {layers[-1].layer}, {what}", each, weights))
    return found
