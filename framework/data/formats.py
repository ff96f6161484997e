"""Text formats: the rows of a task, their encoding as numbers and their collation into batches.

A row is `{column: value}` as a source read it; `Format.encode` turns it into features, `Format.collate` turns features into a batch.

Every batch is a dict with what `collate` returns, by default `ids` (B, T) and `padding_mask` (B, T), True for tokens, None where no row is
padded; and with `@rows`, the `BatchRows` that the loader adds. Names that begin with @ are the framework's; no feature can have one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from reprlib import repr as shortened
from typing import Any, ClassVar, Literal, Protocol

from framework.data.spec import DataSpec
from framework.data.values import check_characters, text_form
from framework.errors import UserError

Row = dict[str, Any]  # column -> value, as a source read it
Features = dict[str, Any]  # name -> bool, int or float, a list of them, or a list of such lists
Batch = dict[str, Any]  # name -> tensor, and `@rows`


@dataclass
class BatchRows:
    """The rows of a batch, `batch["@rows"]`.

    numbers: of each row, in its split. raw: the rows as the source read them; in evaluation alone.
    tokens: number of tokens of the rows; padded_tokens: the same number if all rows were as long as the longest.
    dummy: the row stands in for a rank that has none left; it is computed and counted nowhere.

    >>> batch = load("runs/last").batch(["a good film", "a dull film"])
    >>> batch["@rows"].numbers, batch["@rows"].raw[0]
    ([0, 1], {'text': 'a good film'})
    """

    numbers: list[int]
    raw: list[Row] | None = None
    tokens: int = 0
    padded_tokens: int = 0
    dummy: bool = False

    def added_to(self, batch: Batch) -> Batch:
        """The collated batch with these rows. ValueError: the batch has a key that begins with @."""
        if taken := [name for name in batch if name.startswith("@")]:
            raise ValueError(f"the key {taken[0]!r} of the collated batch needs another name: keys with @ are the framework's")
        return {**batch, "@rows": self}


class TextTokenizer(Protocol):
    """The methods of a tokenizer that formats call. at_least: so many first tokens are enough, because the rest is cut off.

    >>> tokenizer: TextTokenizer = load("runs/last").tokenizer
    >>> tokenizer.decode(tokenizer.encode("a good film"))
    'a good film'
    """

    def encode(self, text: str, at_least: int | None = None) -> list[int]: ...
    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]: ...
    def decode(self, ids: Sequence[int]) -> str: ...
    def byte_lengths(self, ids: Sequence[int]) -> list[int]: ...


class Format:
    """Text format of a task: encodes rows and collates batches. It has no weights and no state: `fit` returns what it learns.

    columns: names of the columns of a row; the `optional` ones may be absent in rows to predict (a label).
    special_tokens: tokens added to the tokenizer; their ids are spec.special_ids.
    label_columns: columns of label names. A list of columns for one of them, `data.columns.label=[toxic,obscene]`, are columns of 0 and 1:
        the value is the list of the names of those that have 1.
    dispensable: features without which `collate` makes a batch that lacks what is made of them; rows of training are read without those
        that the task reads in evaluation alone.
    stream: the rows are parts of one running text and may be packed.
    unseen_labels: whether a label that the training rows lack is counted as an error in validation and test, or refused.

    An invalid row is a ValueError; the caller adds its file and line to the message.

    >>> class TextFormat(Format):
    ...     columns, optional = ("text", "label"), ("label",)
    ...
    ...     def encode(self, row, tokenizer, spec):
    ...         return {"ids": tokenizer.encode(text_of(row, "text"))}
    >>> TextFormat().from_text("a good film")
    {'text': 'a good film'}
    """

    columns: ClassVar[tuple[str, ...]] = ()
    optional: ClassVar[tuple[str, ...]] = ()
    label_columns: ClassVar[tuple[str, ...]] = ()
    makes: ClassVar[tuple[str, ...]] = ()
    dispensable: ClassVar[tuple[str, ...]] = ()
    special_tokens: tuple[str, ...] = ()
    stream: ClassVar[bool] = False
    unseen_labels: Literal["count", "refuse"] = "count"
    rules: ClassVar[dict[str, str]] = {}
    provides: ClassVar[tuple[str, ...]] = ()

    def tokenizer_texts(self, row: Row) -> Iterable[str]:
        """Texts of a row to train the tokenizer on; by default its required columns."""
        return [text_of(row, column) for column in self.columns if column not in self.optional]

    def from_text(self, text: str) -> Row:
        """The row of a typed text, to predict; for several required columns by default `first ||| second`."""
        needed = [column for column in self.columns if column not in self.optional] or [self.columns[0]]
        parts = [part.strip() for part in text.split("|||")] if len(needed) > 1 else [text]
        if len(parts) != len(needed):
            raise UserError(f'text={text!r} must have the columns {" and ".join(needed)}: text="{" ||| ".join(needed).upper()}"')
        return dict(zip(needed, parts, strict=True))

    def fit(self, rows: Iterable[Row]) -> dict[str, Any]:
        """Statistics of the training rows, JSON-able; `labels` go to spec.labels, all others to spec.statistics."""
        return {}

    def row_labels(self, row: Row) -> Sequence[str]:
        """The labels of a row, one for each time that it has one: its classes, or the types of its entities. By default none.

        Random splits are stratified by them, they are counted for each split, and a training row may have no label that is not among
        spec.labels. A label that only validation or test have is for `encode` and the metrics to count as an error of the model; with
        `unseen_labels = "refuse"` such a row is refused before."""
        return ()

    def encode(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec) -> Features | None:
        """Features of a row, with targets only if the row has them. None drops the row; dropped rows are counted.

        A feature is a bool, an int or a float, a list of one of them, or a list of such lists, with the same nesting in every row.
        `@truncated` (bool) is no feature: rows that have it are counted as truncated. Nor is `@counts`, numbers by name, which are summed
        over the rows of a split for `remarks`."""
        raise NotImplementedError

    def remarks(self, split: str, counts: Mapping[str, int], first: Mapping[str, str]) -> list[str]:
        """Sentences about an encoded split, which the run prints at its start and keeps for its card. ValueError: the split is refused.

        counts: sums of `@counts` over all rows. first: for each count the place of the first row where it is not 0."""
        return []

    def window(self, spec: DataSpec) -> int:
        """Distance between windows of running text. A window has one token more, the target of its last input."""
        return spec.max_length

    def length(self, features: Features) -> int:
        """Number of tokens of a row in a batch."""
        return len(features["ids"])

    def target_length(self, features: Features) -> int:
        """Number of tokens of the text to generate; 0 where a model writes none."""
        return 0

    def collate(self, features: Sequence[Features], spec: DataSpec, random: Random) -> Batch:
        """The batch of several rows; by default `stack_features`.

        random: seeded by (seed, epoch, batch), so workers, ranks and resuming do not change the batch. In evaluation it is seeded the same
        for every batch: draw for each row from it and the row alone, and the result does not depend on the other rows of the batch.
        """
        from framework.data.padding import stack_features  # imports torch, which encoding does not need

        return stack_features(features, spec.padding)

    def collate_whole(self, features: Sequence[Features], spec: DataSpec) -> Batch:
        """The batch of rows that are looked at (`explain`): without the noise that `collate` adds in pretraining."""
        return self.collate(features, spec, Random(0))

    def builtin(self, split: str, seed: int) -> Iterator[Row]:
        """Built-in rows of a split ("train", "validation" or "test"), without a download."""
        raise NotImplementedError


def text_of(row: Row, column: str = "text") -> str:
    """The text in a column of a row. ValueError: the value has another type, or half a character.

    >>> text_of({"text": "a good film"}, "text")
    'a good film'
    """
    value = row[column]
    if not isinstance(value, str):
        raise ValueError(_other_type("a text", column, value))
    return _text(value, column)


def texts_of(row: Row, column: str) -> list[str]:
    """The texts in a column that has one text or a list of them. ValueError: as `text_of`.

    >>> texts_of({"summary": "one"}, "summary"), texts_of({"summary": ["one", "two"]}, "summary")
    (['one'], ['one', 'two'])
    """
    value = row[column]
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError(_other_type("a text or a list of texts", column, value))
    return [_text(text, column) for text in texts]


def name_of(value: Any) -> str:
    """The name of a label: the text that a CSV file has for it, without blanks around it. 1 and "1" are the same label, 1.0 is another one,
    and true is `true`. ValueError, the end of a sentence about the label: a value that is neither text, number nor boolean.

    >>> [name_of(value) for value in (" good", 1, "1", 1.0, True)]
    ['good', '1', '1', '1.0', 'true']
    """
    name = text_form(value).strip()
    check_characters(name)
    return name


def _text(value: str, column: str) -> str:
    if not value.isascii():
        try:
            check_characters(value)
        except ValueError as error:
            raise ValueError(f"column {column!r} {error}") from None
    return value


def _other_type(wanted: str, column: str, value: Any) -> str:
    texts = isinstance(value, list) and bool(value) and all(isinstance(text, str) for text in value)
    remedy = f"data.join.{column}=' ' joins the texts of a list" if texts else f"data.columns.{column}=NAME takes another column"
    return f"column {column!r} must be {wanted}, and is {shortened(value)} of type {type(value).__name__}; {remedy}"
