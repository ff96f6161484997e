"""What the formats of pretraining share: running text, cut into windows, with something in it to be told."""

from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import ClassVar

from framework.data.formats import Batch, Features, Format, Row, TextTokenizer, text_of
from framework.data.padding import pad
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.registry import register
from framework.tasks.cross_entropy import IGNORED

from .baseline import Neighbors, accuracy
from .builtin import files


class RunningText(Format):
    """Documents of running text. A batch has what the model reads, under the names of its `forward`, and targets (B, T).

    gap: what stands in the text of a row for tokens to be filled in; such a row is predicted as it is and not noised.
    """

    columns: ClassVar[tuple[str, ...]] = ("text",)
    optional: ClassVar[tuple[str, ...]] = ("gap",)
    stream: ClassVar[bool] = True
    provides: ClassVar[tuple[str, ...]] = ("stream", "pretraining")
    builtin_megabytes: float
    stands_at: ClassVar[str] = "ids"  # what the model reads where the targets are
    both_sides: ClassVar[bool] = False  # a target is hidden there; otherwise it comes next

    def tokenizer_texts(self, row: Row) -> Iterable[str]:
        return [text_of(row)]

    def from_text(self, text: str) -> Row:
        return {"text": text, "gap": "[MASK]"}

    def builtin(self, split: str, seed: int) -> Iterator[Row]:
        """Files of the running Python's own standard library, the same for every seed so that seeds compare."""
        return files(split, self.builtin_megabytes)

    def token_baseline(self, train: Iterable[Features], test: Iterable[Batch], spec: DataSpec) -> dict[str, float]:
        """The likeliest token by its neighbors on the sides that the model sees."""
        hidden = frozenset(id for id in (spec.mask, spec.padding) if id is not None)
        tell = Neighbors((row["ids"] for row in train), hidden)
        return {"accuracy": accuracy(tell, test, self.stands_at, self.both_sides)}

    def given(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec, fillers: Sequence[int | None]) -> list[int] | None:
        """The tokens of a text that has gaps, a filler in each; None for a text that has none. ValueError: more gaps than fillers, or
        more text than the model reads at once."""
        pieces = text_of(row).split(text_of(row, "gap")) if row.get("gap") else []
        if len(pieces) < 2:
            return None
        if len(pieces) - 1 > len(fillers):
            raise ValueError(f"the text has {len(pieces) - 1} gaps; this model fills {len(fillers)} at once")
        ids: list[int] = []
        for piece, filler in zip(pieces[:-1], fillers, strict=False):
            ids += [*tokenizer.encode(piece.rstrip(" ")), needed(filler)]  # the space before a word is part of the word
        ids += tokenizer.encode(pieces[-1])
        room = self.window(spec) + 1
        if len(ids) > room:
            raise ValueError(f"the text has {len(ids)} tokens, and gaps are filled in {room} at once (model.max_length={spec.max_length})")
        return ids


@register("format")
class CausalFormat(RunningText):
    """Every token from those before it. Radford et al. 2018, section 3.1

    https://cdn.openai.com/research-covers/language-unsupervised/language_understanding_paper.pdf
    The task `completion` does the same and measures more.

    end_of_document: put the end token after every document, so that the model learns where texts end.
    builtin_megabytes: the most of the standard library's source that the built-in training part takes.
    """

    rules: ClassVar[dict[str, str]] = {
        "'decoder' in provided and 'encoder' not in provided": "each token is told from those before it, so the model must not look ahead",
        "builtin_megabytes > 0": "training needs some text",
    }

    def __init__(self, end_of_document: bool = True, builtin_megabytes: float = 1.5):
        self.end_of_document, self.builtin_megabytes = end_of_document, builtin_megabytes

    def from_text(self, text: str) -> Row:
        return {"text": text}

    def encode(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec) -> Features | None:
        ids = tokenizer.encode(text_of(row)) + ([needed(spec.end, "end")] if self.end_of_document else [])
        return {"ids": ids} if ids else None

    def collate(self, features: Sequence[Features], spec: DataSpec, random: Random) -> Batch:
        """ids, targets: (B, T), padded on the right, where a causal model needs no mask."""
        rows = [row["ids"] for row in features]
        return {
            "ids": pad([row[: max(1, len(row) - 1)] for row in rows], spec.padding),
            "targets": pad([row[1:] or [IGNORED] for row in rows], IGNORED),
        }


def needed(id: int | None, name: str = "mask") -> int:
    """A special token that the format cannot do without. UserError: the tokenizer has none."""
    if id is None:
        raise UserError(f"task.format needs a tokenizer with {'an' if name == 'end' else 'a'} {name} token, and this one has none")
    return id
