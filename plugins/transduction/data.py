"""Format of transduction: an input, its one right output, and the kind of the row."""

import re
from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from framework import (
    IGNORED,
    Batch,
    DataSpec,
    FeatureRows,
    Features,
    PairFormat,
    Row,
    TextTokenizer,
    UserError,
    name_of,
    register,
    target_places,
    text_of,
)

from .builtin import generated

SHORTEST = 4  # length of a built-in training row: shorter ones are few


@register("format")
class TransductionFormat(PairFormat):
    """An input text and the one right output text, with one vocabulary for both. No row is cut: a cut output is never right.

    A row may have a `kind`, by which its figures are reported (else by the number of words of its output), and `given`, a list of numbers:
    words of the output (from 0, separated by blanks) that the model reads and need not predict, as the queries of associative recall.

    problem: of the built-in rows: recall, copying, selective_copying, parity, modular_addition or dyck (plugins/transduction/problems.py).
    train_length: of the longest built-in training rows: pairs (recall), words, bits, numbers or brackets. The shortest have 4.
    test_lengths: lengths of the built-in test rows, each with as many.
    symbols: number of different words (of keys, and of values), and the modulus of the addition.
    builtin_rows: number of built-in training rows.
    """

    columns: ClassVar[tuple[str, ...]] = ("input", "output")
    optional: ClassVar[tuple[str, ...]] = ("output", "kind", "given")
    makes: ClassVar[tuple[str, ...]] = (*PairFormat.makes, "size")
    rules: ClassVar[dict[str, str]] = {
        "train_length >= 4": "train_length must be at least 4, the length of the shortest rows",
        "symbols >= 2": "symbols must be at least 2",
        "test_lengths and min(test_lengths) >= 4": "test_lengths must be a list of lengths from 4 on",
        "problem != 'recall' or max([train_length, *test_lengths]) <= symbols": "recall needs a key for each pair: raise symbols, or "
        "lower train_length and test_lengths to as many",
        "builtin_rows >= 1": "builtin_rows must be at least 1",
    }

    def __init__(
        self,
        problem: Literal["recall", "copying", "selective_copying", "parity", "modular_addition", "dyck"] = "copying",
        train_length: int = 8,
        test_lengths: list[int] = [4, 8, 16],  # noqa: B006 - never written to
        symbols: int = 16,
        builtin_rows: int = 8000,
    ):
        super().__init__("refuse")
        self.problem, self.train_length, self.test_lengths = problem, train_length, test_lengths
        self.symbols, self.builtin_rows = symbols, builtin_rows

    def tokenizer_texts(self, row: Row) -> Iterable[str]:
        return [text_of(row, "input"), text_of(row, "output")]

    def encode(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec) -> Features:
        """source and, if the row has an output, target: ids that end with the end token; given: which of the target's are no targets."""
        if spec.end is None:
            raise UserError("this task needs a tokenizer with an end token: tokenizer=words has one")
        if row.get("kind") is not None:
            _check_kind(row["kind"])
        features: Features = {"source": [*spec.prefix, *tokenizer.encode(text_of(row, "input")), spec.end]}
        if row.get("output") is not None:
            ids, given = _given(row, tokenizer)
            features["target"] = [*spec.prefix, *ids, spec.end]
            features["given"] = [*(False for _ in spec.prefix), *given, False]
        if (length := self.length(features)) > spec.max_length:
            raise ValueError(
                f"input and output have {length} tokens together, and the model takes {spec.max_length}: raise model.max_length to {length}"
            )
        return features

    def length(self, features: Features) -> int:
        return len(features["source"]) + len(features.get("target", ()))

    def collate(self, features: Sequence[Features], spec: DataSpec, random: Random) -> Batch:
        """As pairs; size: tokens of each target, (B,). Labels of given tokens are -100."""
        rows = FeatureRows.of(features)
        batch = super().collate(rows, spec, random)
        if "target" in rows.names:
            batch["size"] = torch.from_numpy(rows.lists("target").lengths.astype(np.int64))
            given = rows.lists("given").padded(False)  # (B, T)
            if given.any():
                batch["labels"][torch.from_numpy(given)] = IGNORED
                batch["target_places"] = target_places(batch["labels"])
        return batch

    def builtin(self, split: str, seed: int) -> Iterator[Row]:
        """Rows of the problem, the same for every seed; no input is in two splits."""
        trained = split != "test"
        lengths = range(SHORTEST, self.train_length + 1) if trained else self.test_lengths
        count = self.builtin_rows if split == "train" else min(1000, self.builtin_rows)
        return generated(self.problem, split, count, list(lengths), self.symbols)


def _check_kind(kind: Any) -> None:
    """ValueError: a kind is no text, number or boolean, or cannot be part of the name of a figure."""
    try:
        name = name_of(kind)
    except ValueError as error:
        raise ValueError(f"column 'kind' {error}") from None
    if not name or "/" in name:
        raise ValueError(f"column 'kind' is {kind!r}: a kind is part of the name of a figure, so it has a character, and no /")


def _given(row: Row, tokenizer: TextTokenizer) -> tuple[list[int], list[bool]]:
    """The tokens of the output, and whether each is part of a given word. ValueError: `given` is no list of numbers of words."""
    output, numbers = text_of(row, "output"), row.get("given")
    if numbers is None:
        ids = tokenizer.encode(output)
        return ids, [False] * len(ids)
    words = [match.span() for match in re.finditer(r"\S+", output)]
    if not isinstance(numbers, list) or not all(type(number) is int and 0 <= number < len(words) for number in numbers):
        raise ValueError(f"given is {numbers!r} and must be a list of numbers of the output's words, 0 to {len(words) - 1}")
    ids, offsets = tokenizer.encode_with_offsets(output)
    chosen = [words[number] for number in sorted(numbers)]
    return ids, [any(first <= start < last for first, last in chosen) for start, _ in offsets]
