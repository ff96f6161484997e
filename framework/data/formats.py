"""What a task's rows are and how they become tensors: the data half of a plugin."""

from collections.abc import Iterable, Iterator, Sequence
from random import Random
from reprlib import repr as shortened
from typing import Any, ClassVar, Protocol

from framework.data.spec import DataSpec
from framework.errors import UserError

Row = dict[str, Any]  # column -> value, as a source read it
Features = dict[str, Any]  # name -> list of ints (one a token), or an int or float (one a row)
Batch = dict[str, Any]  # name -> tensor; "row" (B,) the row numbers; "raw" the rows themselves where figures are made of them


class TextTokenizer(Protocol):
    """What a format needs of a tokenizer."""

    def encode(self, text: str) -> list[int]: ...
    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]: ...
    def decode(self, ids: Sequence[int]) -> str: ...
    def byte_lengths(self, ids: Sequence[int]) -> list[int]: ...


class Format:
    """The rows of a task. No model and no state: everything it learns goes into the data spec.

    columns: the columns a row must have; `optional` ones may be absent (a text to predict has no label).
    A mistake in a row is a ValueError that says what is wrong; who reads the rows adds the file and the line.
    """

    columns: ClassVar[tuple[str, ...]] = ()
    optional: ClassVar[tuple[str, ...]] = ()
    special_tokens: tuple[str, ...] = ()  # added to the tokenizer; their ids stand in spec.special_ids
    stream: ClassVar[bool] = False  # rows are pieces of one running text and may be packed
    rules: ClassVar[dict[str, str]] = {}
    provides: ClassVar[tuple[str, ...]] = ()

    def tokenizer_texts(self, row: Row) -> Iterable[str]:
        """The texts of a row that the tokenizer learns from: the columns it must have, unless a subclass says otherwise."""
        return [text_of(row, column) for column in self.columns if column not in self.optional]

    def from_text(self, text: str) -> Row:
        """The row of a text that somebody typed, to predict of: where a row must have several columns, `first ||| second`."""
        needed = [column for column in self.columns if column not in self.optional] or [self.columns[0]]
        parts = [part.strip() for part in text.split("|||")] if len(needed) > 1 else [text]
        if len(parts) != len(needed):
            raise UserError(f'write text="{" ||| ".join(needed).upper()}": a row has {" and ".join(needed)}; this is {text!r}')
        return dict(zip(needed, parts, strict=True))

    def fit(self, rows: Iterable[Row]) -> dict[str, Any]:
        """What the training rows teach: `{"labels": (...)}` goes to spec.labels, the rest to spec.statistics."""
        return {}

    def encode(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec) -> Features | None:
        """One row as numbers; targets only if the row has them. None: the row is dropped (and counted)."""
        raise NotImplementedError

    def window(self, spec: DataSpec) -> int:
        """How far apart windows of running text begin. One has a token more: the last one's successor is to be predicted too."""
        return spec.max_length

    def length(self, features: Features) -> int:
        """Tokens that the row costs in a batch."""
        return len(features["ids"])

    def collate(self, features: Sequence[Features], spec: DataSpec, random: Random) -> Batch:
        """Rows as tensors. `random` is seeded by (seed, epoch, batch): no worker, rank or resume changes what it gives. In evaluation
        it is the same for every batch: what is then a function of it and of a row alone does not depend on the row's company.

        Unless a subclass says otherwise: `ids` and other lists filled up on the right, `padding_mask` (B, T), numbers as (B,)."""
        from framework.data.padding import stack_features  # whoever only encodes needs no torch

        return stack_features(features, spec.padding)

    def builtin(self, split: str, seed: int) -> Iterator[Row]:
        """Rows that need no download: split is "train", "validation" or "test"."""
        raise NotImplementedError


def text_of(row: Row, column: str = "text") -> str:
    """The text in a column of a row. ValueError: the value has another type."""
    value = row[column]
    if not isinstance(value, str):
        raise ValueError(_other_type("a text", column, value))
    return value


def texts_of(row: Row, column: str) -> list[str]:
    """The texts in a column that has one text or a list of them. ValueError: the value has another type."""
    value = row[column]
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError(_other_type("a text or a list of texts", column, value))
    return texts


def _other_type(wanted: str, column: str, value: Any) -> str:
    return (
        f"column {column!r} must be {wanted}, and is {shortened(value)} of type {type(value).__name__}; "
        f"data.columns.{column}=NAME takes another column"
    )
