"""Formats of pretraining: windows of running text, with targets in them."""

from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import ClassVar

import numpy as np

from framework import (
    IGNORED,
    Batch,
    DataSpec,
    FeatureRows,
    Features,
    Format,
    Ragged,
    Row,
    StandardLibrary,
    TextTokenizer,
    UserError,
    pad,
    register,
    target_places,
    text_of,
)


class RunningText(Format):
    """Documents of running text. A batch has the inputs of the model, by the names of its `forward`, and targets (B, T).

    gap: the column with the mark of the tokens to fill in; a row with such marks is predicted as it is, without noise.
    builtin_megabytes: size of the built-in training part at most.
    """

    columns: ClassVar[tuple[str, ...]] = ("text",)
    optional: ClassVar[tuple[str, ...]] = ("gap",)
    stream: ClassVar[bool] = True
    provides: ClassVar[tuple[str, ...]] = ("stream", "pretraining")
    builtin_megabytes: float
    input_name: ClassVar[str] = "ids"  # the input at the positions of the targets
    both_sides: ClassVar[bool] = False  # targets are masked in the input; otherwise they follow it

    def tokenizer_texts(self, row: Row) -> Iterable[str]:
        return [text_of(row)]

    def from_text(self, text: str) -> Row:
        return {"text": text, "gap": "[MASK]"}

    def builtin(self, split: str, seed: int) -> Iterator[Row]:
        """Files of the running Python's own standard library, the same for every seed."""
        return StandardLibrary().rows(split, self.builtin_megabytes)

    def filled_tokens(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec, fillers: Sequence[int | None]) -> list[int] | None:
        """The tokens of a text with gaps, a filler in each; None for a text without. ValueError: more gaps than fillers, or more tokens
        than the model takes."""
        pieces = text_of(row).split(text_of(row, "gap")) if row.get("gap") else []
        if len(pieces) < 2:
            return None
        if len(pieces) - 1 > len(fillers):
            raise ValueError(f"the text has {len(pieces) - 1} gaps; at most {len(fillers)} can be filled at once")
        ids: list[int] = []
        for piece, filler in zip(pieces[:-1], fillers, strict=False):
            ids += [*tokenizer.encode(piece.rstrip(" ")), required(filler)]  # the space before a word is part of the word
        ids += tokenizer.encode(pieces[-1])
        room = self.window(spec) + 1
        if len(ids) > room:
            raise ValueError(f"the text has {len(ids)} tokens; gaps are filled in at most {room} (model.max_length={spec.max_length})")
        return ids


@register("format")
class CausalFormat(RunningText):
    """Causal language modeling: every token from those before it. Radford et al. 2018, section 3.1

    https://cdn.openai.com/research-covers/language-unsupervised/language_understanding_paper.pdf
    The task `completion` does the same with more metrics.

    end_of_document: put the end token after every document, so that the model learns where texts end.
    """

    makes = ("ids", "targets", "target_places")
    rules: ClassVar[dict[str, str]] = {
        "'decoder' in provided and 'encoder' not in provided": "causal language modeling needs a decoder; choose model=decoder_only",
        "builtin_megabytes > 0": "builtin_megabytes must be positive",
    }

    def __init__(self, end_of_document: bool = True, builtin_megabytes: float = 1.5):
        self.end_of_document, self.builtin_megabytes = end_of_document, builtin_megabytes

    def from_text(self, text: str) -> Row:
        return {"text": text}

    def encode(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec) -> Features | None:
        ids = tokenizer.encode(text_of(row)) + ([required(spec.end, "end")] if self.end_of_document else [])
        return {"ids": ids} if ids else None

    def collate(self, features: Sequence[Features], spec: DataSpec, random: Random) -> Batch:
        """ids, targets (B, T), target_places (N,), padded on the right, where a causal model needs no mask."""
        rows = FeatureRows.of(features).lists("ids")
        inputs = Ragged(rows.values, rows.starts, np.maximum(rows.lengths - 1, 1), rows.dtype)  # a single token has no target and stays
        targets = pad(rows.cut(1), IGNORED, int(inputs.lengths.max()))
        return {"ids": pad(inputs, spec.padding), "targets": targets, "target_places": target_places(targets)}


def required(id: int | None, name: str = "mask") -> int:
    """The id of a special token. UserError: the tokenizer has none."""
    if id is None:
        raise UserError(f"task.format needs a tokenizer with {'an' if name == 'end' else 'a'} {name} token, and this one has none")
    return id
