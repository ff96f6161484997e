"""Contract tests of text formats, with a few rows and the byte tokenizer."""

import contextlib
import json
import tempfile
from collections.abc import Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import torch
from torch import Tensor

from framework.data.encoding_writer import without_marks
from framework.data.features import FeatureWriter
from framework.data.formats import Batch, Features, Format, Row
from framework.data.module import data_spec_of
from framework.data.spec import DataSpec
from framework.data.tokenization.tokenizer import Tokenizer
from framework.data.tokenization.trainers import BytesTokenizer
from framework.errors import UserError
from framework.testing.contract import KindPromises, require
from framework.testing.promise import BrokenPromise, Inapplicable

ROWS, BUILTIN, MAX_LENGTH = 6, 15, 128
OTHERS: tuple[Any, ...] = (5, 1.5, None, ["a", 1], {"a": 1}, [])  # what a file may have in place of a text


class FormatPromises(KindPromises):
    """Contract tests of a text format.

    rows: its rows; None = the first built-in ones.
    """

    rows: ClassVar[Sequence[Row] | None] = None

    @classmethod
    @cache
    def given(cls) -> "Given":
        return Given(cls().with_values()(), cls.rows)

    def test_features_are_legal(self) -> None:
        """A row gives the same features each time: bools, ints or floats, lists of them or lists of such lists, alike in every row. The row
        itself stays as it is."""
        given = self.given()
        for number, row in enumerate(given.rows):
            before = json.dumps(row)
            first, second = given.encode(row), given.encode(row)
            require(first == second, f"features are legal: row {number} gives other features the second time: {first} and {second}")
            require(json.dumps(row) == before, f"features are legal: encode has changed row {number}")
        with tempfile.TemporaryDirectory() as folder:
            writers: dict[str, FeatureWriter] = {}
            for number, features in enumerate(given.features()):
                try:
                    writers = writers or {name: FeatureWriter(Path(folder), name) for name in features}
                    for name, value in features.items():
                        writers[name].add(value)
                except (ValueError, KeyError) as error:
                    raise BrokenPromise(f"features are legal: row {number}: {error}") from error
                require(writers.keys() == features.keys(), f"features are legal: row {number} lacks some of {', '.join(writers)}")
            for writer in writers.values():
                writer.close()

    def test_length_is_the_number_of_tokens(self) -> None:
        """`length` is a positive whole number, from which batches are planned."""
        given = self.given()
        for number, features in enumerate(given.features()):
            length = given.format.length(features)
            require(type(length) is int and length > 0, f"length is the number of tokens: that of row {number} is {length!r}")

    def test_rows_are_independent(self) -> None:
        """A row has the same values in a batch alone, among others and in another order, but for padding; what is padded is known."""
        given = self.given()
        features = given.features()
        if given.noisy(features):
            raise Inapplicable("collate draws at random, so a batch is not made of its rows alone")
        together = given.collate(features)
        reversed_ = given.collate(features[::-1])
        for number, row in enumerate(features):
            alone = given.collate([row])
            require(alone.keys() == together.keys(), f"rows are independent: row {number} alone has {[*alone]}, a batch {[*together]}")
            for name, value in alone.items():
                for batch, place in ((together, number), (reversed_, len(features) - 1 - number)):
                    if not all(isinstance(each, Tensor) and len(each) == rows for each, rows in ((value, 1), (batch[name], len(features)))):
                        continue  # of another shape: windows of rows, or of the whole batch
                    got = batch[name][place]
                    part = got[tuple(slice(0, size) for size in value[0].shape)]
                    require(
                        torch.equal(part, value[0]),
                        f"rows are independent: {name} of row {number} is {value[0].tolist()} alone and {part.tolist()} among others",
                    )
        mask, ids = together.get("padding_mask"), together.get("ids")
        if isinstance(mask, Tensor) and isinstance(ids, Tensor) and mask.shape == ids.shape:
            padding = ids[~mask].unique().tolist()
            require(
                padding in ([], [given.spec.padding]), f"rows are independent: where padding_mask is False, ids has {padding}, not padding"
            )

    def test_collates_the_same_twice(self) -> None:
        """A batch depends on its features, the data spec and the state of `random` alone, and features stay as they are."""
        given = self.given()
        features = given.features()
        before = json.dumps(features)
        first, second = given.collate(features), given.collate(features)
        differing = [name for name in first if not same(first[name], second.get(name))]
        require(not differing, f"collates the same twice: {', '.join(differing)} differs")
        require(json.dumps(features) == before, "collates the same twice: collate has changed the features")
        taken = [name for name in first if name.startswith("@")]
        require(not taken, f"collates the same twice: the key {taken[:1]} of a batch is the framework's: keys with @ are")

    def test_predicts_without_targets(self) -> None:
        """Rows without their optional columns give a batch, and so does a typed text (`from_text`)."""
        given = self.given()
        rows = [{name: value for name, value in row.items() if name not in given.format.optional} for row in given.rows]
        texts = [value for row in given.rows for value in row.values() if isinstance(value, str)] or ["a text"]
        needed = [name for name in given.format.columns if name not in given.format.optional]
        try:
            features = [encoded for row in rows if (encoded := given.encode(row)) is not None]
            require(len(features) == len(rows), f"predicts without targets: {len(rows) - len(features)} of {len(rows)} rows are dropped")
            given.collate(features)
        except BrokenPromise:
            raise
        except Exception as error:
            raise BrokenPromise(f"predicts without targets: {type(error).__name__}: {error}") from error
        typed = given.format.from_text(" ||| ".join(texts[: max(1, len(needed))]))
        try:
            if (features_of_typed := given.encode(typed)) is not None:
                given.collate([features_of_typed])
        except (ValueError, UserError):
            pass  # refused, with a reason
        except Exception as error:
            raise BrokenPromise(f"predicts without targets: a typed text: {type(error).__name__}: {error}") from error

    def test_builtin_rows_suit_it(self) -> None:
        """Built-in rows are the same each time, the format reads them, and no row of training is in another split."""
        given = self.given()
        format = given.format
        if type(format).builtin is Format.builtin:
            raise Inapplicable("the format has no built-in rows")
        seen: dict[str, str] = {}
        for split in ("train", "validation", "test"):
            first, second = (list(islice(format.builtin(split, 0), BUILTIN)) for _ in range(2))
            require(first, f"builtin rows suit it: {split} has none")
            require(first == second, f"builtin rows suit it: {split} has other rows the second time")
            for row in first:
                try:
                    given.encode(row)
                except ValueError as error:
                    # a label that other rows do not have may be refused
                    known = split != "train" or self.rows is not None
                    require(known, f"builtin rows suit it: a row of {split} with {', '.join(row)} is refused: {error}")
                except Exception as error:
                    said = f"{type(error).__name__}: {error}"
                    raise BrokenPromise(f"builtin rows suit it: a row of {split} with {', '.join(row)} ends in {said}") from error
                other = seen.setdefault(json.dumps(row, sort_keys=True), split)
                require(other == split, f"builtin rows suit it: {row} is in {other} and in {split}")

    def test_refuses_other_types(self) -> None:
        """A number, a list or nothing in place of a text is a ValueError with the name of the column; a column of any type may take it."""
        given = self.given()
        for column in given.format.columns:
            if not isinstance(given.rows[0].get(column), str):
                continue
            for value in OTHERS:
                row = {**given.rows[0], column: value}
                for name, read in (("encode", given.encode), ("tokenizer_texts", lambda row: list(given.format.tokenizer_texts(row)))):
                    try:
                        read(row)
                    except (ValueError, UserError) as error:
                        named = column in str(error)
                        require(named, f"refuses other types: {column}={value!r} in {name} is refused without its name: {error}")
                    except Exception as error:
                        said = f"{type(error).__name__}: {error}"
                        raise BrokenPromise(f"refuses other types: {column}={value!r} ends in {said} in {name}") from error
                    else:
                        needed = name == "encode" and column not in given.format.optional
                        require(not needed, f"refuses other types: {column}={value!r} is taken for a text")

    def test_learns_plain_statistics(self) -> None:
        """`fit` gives JSON, the same each time; texts for the tokenizer are texts."""
        given = self.given()
        first, second = given.format.fit(iter(given.rows)), given.format.fit(iter(given.rows))
        require(first == second, f"learns plain statistics: fit gives {first}, then {second}")
        try:
            json.dumps(first, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise BrokenPromise(f"learns plain statistics: fit gives no JSON: {error}") from error
        texts = [text for row in given.rows for text in given.format.tokenizer_texts(row)]
        require(all(isinstance(text, str) for text in texts), "learns plain statistics: tokenizer_texts gives something other than texts")
        require(texts, "learns plain statistics: tokenizer_texts gives no text to train a tokenizer on")


class Given:
    """A format with rows, a tokenizer and the data spec of both."""

    def __init__(self, format: Format, rows: Sequence[Row] | None):
        self.format = format
        known = list(islice(format.builtin("train", 0), 3 * ROWS)) if rows is None else list(rows)
        self.rows = known if rows is not None else known[:: max(1, len(known) // ROWS)][:ROWS]  # rows are often sorted by label
        self.tokenizer: Tokenizer = BytesTokenizer().train(list).with_special_tokens(format.special_tokens)
        self.spec: DataSpec = data_spec_of(self.tokenizer, MAX_LENGTH, format.fit(iter(known)), format.special_tokens)

    def encode(self, row: Row) -> Features | None:
        features = self.format.encode(row, self.tokenizer, self.spec)
        return None if features is None else without_marks(features)[0]

    def features(self) -> list[Features]:
        """Of the rows that the format does not drop."""
        features = [encoded for row in self.rows if (encoded := self.encode(row)) is not None]
        require(features, f"features are legal: all {len(self.rows)} rows are dropped")
        return [self.window(row) for row in features] if self.format.stream else features

    def window(self, features: Features) -> Features:
        """The first window of a document of running text, which batches are made of."""
        size = self.format.window(self.spec) + 1
        return {name: value[:size] if isinstance(value, list) else value for name, value in features.items()}

    def collate(self, features: Sequence[Features], seed: int = 0) -> Batch:
        return self.format.collate(features, self.spec, Random(seed))

    def noisy(self, features: Sequence[Features]) -> bool:
        """Whether `collate` draws at random."""
        one, other = self.collate(features), self.collate(features, seed=1)
        return any(not same(one[name], other.get(name)) for name in one)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        with contextlib.suppress(RuntimeError):
            return one.shape == other.shape and torch.equal(one, other)
    return bool(one is other or type(one) is type(other) and one == other)
