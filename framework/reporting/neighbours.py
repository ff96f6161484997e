"""Neighbours of token embeddings: the tokens whose vectors in the embedding table are nearest by cosine.

Shapes: V vocabulary, E features of an embedding, K neighbours.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from torch import Tensor, nn

from framework.data.tokenization.tokenizer import Tokenizer
from framework.parts.embeddings import Tokens
from framework.reporting.drawing import COLOURS, Picture, grid, picture, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN, NEAREST = 6, 5  # tokens, and neighbours of each
_READ = 500  # texts
_LETTERS = 4  # of a token that is shown


@dataclass(frozen=True)
class Neighbours:
    """A token and its neighbours with their cosines, the nearest first."""

    token: str
    others: list[tuple[str, float]]


def embedding_table(model: nn.Module) -> Tensor | None:
    """The token embeddings (V, E) of a model; None where it has none of ours."""
    return next((module.weight.detach() for module in model.modules() if isinstance(module, Tokens)), None)


def frequent_tokens(tokenizer: Tokenizer, texts: Iterable[str], count: int = SHOWN) -> list[int]:
    """The tokens of some letters that occur in most texts, of equally frequent ones the first in the alphabet."""
    occurs: Counter[int] = Counter()
    for text in islice(texts, _READ):
        occurs.update(set(tokenizer.encode(text)))
    spelled = {id: tokenizer.decode([id]).strip() for id in occurs}
    kept = [id for id, text in spelled.items() if len(text) >= _LETTERS and text.isalpha()]
    return sorted(kept, key=lambda id: (-occurs[id], spelled[id]))[:count]


def neighbours(table: Tensor, tokenizer: Tokenizer, ids: Sequence[int], count: int = NEAREST) -> list[Neighbours]:
    """The nearest tokens to each token, without those that are spelled like it (with a blank before it) and those that are no text."""
    unit = nn.functional.normalize(table.float(), dim=-1)
    found = []
    for id in ids:
        own, others = tokenizer.decode([id]).strip(), list[tuple[str, float]]()
        scores, order = (unit @ unit[id]).topk(min(len(unit), 8 * count))  # (K,)
        for score, other in zip(scores.tolist(), order.tolist(), strict=True):
            text = tokenizer.decode([other]).strip()
            if text and "\ufffd" not in text and text.casefold() != own.casefold() and text not in dict(others):
                others.append((text, score))
        found.append(Neighbours(own, others[:count]))
    return found


def neighbours_picture(found: Sequence[Neighbours]) -> Picture | None:
    """The neighbours of each token as bars of their cosine; None where there are none."""
    shown = [each for each in found if each.others]
    if not shown:
        return None
    columns = 3

    def draw(figure: "Figure") -> None:
        most = max(score for each in shown for _, score in each.others)
        for number, each in enumerate(shown, 1):
            axes = figure.add_subplot(-(-len(shown) // columns), columns, number)
            axes.barh(range(len(each.others)), [score for _, score in each.others], color=COLOURS[0], height=0.7)
            axes.set_yticks(range(len(each.others)), [short(text, 14) for text, _ in each.others])
            axes.set_ylim(NEAREST - 0.5, -0.5)
            axes.set_xlim(min(0.0, *(score for _, score in each.others)), max(most, 0.05))
            axes.set_title(short(each.token, 20), fontweight="bold")
            axes.tick_params(axis="y", length=0)
            grid(axes, "x")

    rows = -(-len(shown) // columns)
    caption = "Neighbours in the table of token embeddings: the cosine of frequent tokens of the data with the tokens nearest to them."
    return picture("neighbours", caption, 0.3 + 1.35 * rows, draw)
