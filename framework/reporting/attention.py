"""Attention weights as pictures: all heads of all layers side by side, one map with its tokens; and how words move."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from framework.explaining.explanation import Explanation, Shared
from framework.explaining.heads import chosen
from framework.explaining.recording import Array
from framework.reporting.drawing import COLOURS, MARKS, SHADES, Picture, grid, picture, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TOKENS = 48  # of a map
_LINES = 7  # words of a picture of lines


def attention_pictures(one: Explanation, layer: int | None = None, head: int | None = None, name: str = "attention") -> Iterator[Picture]:
    """For each stack and kind of attention: every head of every layer; and the map of `chosen` with its tokens."""
    for stack, kind in dict.fromkeys((each.stack, each.kind) for each in one.attention):
        layers = [each.weights for each in one.attention if (each.stack, each.kind) == (stack, kind)]
        yield _heads(layers, f"{name}_{stack}_{kind}_heads".replace(".", "_"), f"{stack}, {kind}-attention")
    for title, each, weights in chosen(one.attention, layer, head):
        queries, keys = (one.tokens[stack] for stack in (each.stack, each.keys))
        yield _map(weights, queries, keys, f"{name}_{each.stack}_{each.kind}".replace(".", "_"), title)


def _heads(layers: Sequence[Array], name: str, title: str) -> Picture:
    """A mosaic, drawn as one image: a row for each layer, a column for each head, each head relative to its largest weight."""
    heads = max(len(weights) for weights in layers)
    cell = [max(weights.shape[axis] for weights in layers) for axis in (1, 2)]
    gap = [max(1, size // 16) for size in cell]
    whole = np.full((len(layers) * (cell[0] + gap[0]) - gap[0], heads * (cell[1] + gap[1]) - gap[1]), np.nan)
    for row, weights in enumerate(layers):
        for column, each in enumerate(weights):
            top, left = row * (cell[0] + gap[0]), column * (cell[1] + gap[1])
            whole[top : top + each.shape[0], left : left + each.shape[1]] = each / max(float(each.max()), 1e-12)

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot(1, 1, 1)
        axes.imshow(whole, cmap=SHADES, vmin=0, vmax=1, interpolation="nearest", aspect="auto")
        for axis, count, size, space in ((axes.xaxis, heads, cell[1], gap[1]), (axes.yaxis, len(layers), cell[0], gap[0])):
            axis.set_ticks([number * (size + space) + (size - 1) / 2 for number in range(count)], [str(n + 1) for n in range(count)])
        axes.set_xlabel("head")
        axes.set_ylabel("layer")
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)

    side = max(0.45, min(1.5, 6.2 / heads))
    caption = f"{title}: every head of every layer. In each, a row is a token that looks, a column one that is looked at."
    ratio = min(2.0, max(0.5, cell[0] / cell[1]))
    return picture(name, caption, 0.6 + side * ratio * len(layers), draw, width=max(2.4, 0.8 + side * heads))


def _map(weights: Array, queries: Sequence[str], keys: Sequence[str], name: str, title: str) -> Picture:
    rows, columns = ([short(token, 14) for token in tokens[:_TOKENS]] for tokens in (queries, keys))
    shown = weights[: len(rows), : len(columns)]

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot(1, 1, 1)
        image = axes.imshow(shown, cmap=SHADES, vmin=0, interpolation="nearest", aspect="equal")
        axes.set_xticks(range(len(columns)), columns, rotation=90, fontsize=7 if len(columns) > 24 else 8)
        axes.set_yticks(range(len(rows)), rows, fontsize=7 if len(rows) > 24 else 8)
        axes.tick_params(length=0)
        figure.colorbar(image, ax=axes, label="weight", shrink=0.7)

    most = max(len(queries), len(keys))
    cut = f" The first {_TOKENS} of {most} tokens." if most > _TOKENS else ""
    cell = min(0.3, 4.8 / len(columns))
    height = min(8.0, 1.5 + max(cell, 0.13) * len(rows))
    return picture(name, f"{title}: a row is a token that looks.{cut}", height, draw, width=min(7.2, 2.6 + cell * len(columns)))


def moves_picture(one: Explanation, name: str = "moves") -> Picture | None:
    """The cosine of the vector of each word with its embedding, layer by layer; None where the text has no words."""
    words = one.words[one.reading]
    if not words:
        return None
    moves = one.moves()[:, :_TOKENS]

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot(1, 1, 1)
        image = axes.imshow(moves, cmap=SHADES, vmin=min(0.0, float(moves.min())), vmax=1, aspect="auto", interpolation="nearest")
        axes.set_xticks(range(moves.shape[1]), [short(word.text, 14) for word in words[:_TOKENS]], rotation=90)
        axes.set_yticks(range(len(moves)), ["embedding", *(f"layer {number}" for number in range(1, len(moves)))])
        axes.tick_params(length=0)
        figure.colorbar(image, ax=axes, label="cosine")

    caption = "How far each word moves from its embedding: the cosine of its vector after each layer with the one before the first."
    return picture(name, caption, 1.6 + 0.24 * len(moves), draw)


def shared_picture(common: Sequence[Shared], name: str = "words") -> Picture | None:
    """The cosine of the two vectors of each word that two texts have in common, layer by layer; None where they have none."""
    if not common:
        return None
    shown = sorted(common, key=lambda each: float(each.similarity[-1]))[:_LINES]

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot(1, 1, 1)
        for place, each in enumerate(shown):
            axes.plot(
                range(len(each.similarity)), each.similarity, marker=MARKS[place], markersize=4, color=COLOURS[place], label=each.text
            )
        axes.set_xticks(range(len(shown[0].similarity)), ["embedding", *(str(n) for n in range(1, len(shown[0].similarity)))])
        axes.set_xlabel("layer")
        axes.set_ylabel("cosine of the two vectors")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        grid(axes)

    cut = f" The {_LINES} of {len(common)} words that move most." if len(common) > _LINES else ""
    return picture(name, f"Words in both texts: the cosine of their two vectors, layer by layer.{cut}", 2.9, draw)
