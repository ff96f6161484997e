"""Built-in rows of transduction: a generated problem, in training of lengths up to a bound, and in the test of lengths of their own."""

from collections.abc import Iterator, Sequence
from random import Random
from zlib import crc32

from framework import Row, UserError

from .problems import PROBLEMS

TRIES = 1000  # draws of an input for one row of the split


def generated(problem: str, split: str, count: int, lengths: Sequence[int], symbols: int) -> Iterator[Row]:
    """`count` rows of a split, always the same ones, of each length in turn; `kind` is their length. A hash of the input decides its
    split, so that no input is in two. UserError: there are hardly any inputs of a length."""
    random = Random(f"{problem} {split}")
    for number in range(count):
        length = lengths[number % len(lengths)]
        for _ in range(TRIES):
            row = PROBLEMS[problem](random, length, symbols)
            if split_of(row["input"]) == split:
                yield {**row, "kind": f"length {length}"}
                break
        else:
            raise UserError(
                f"{problem} of length {length} has too few inputs for the {split} split: raise task.format.symbols, or choose other lengths"
            )


def split_of(text: str) -> str:
    """Four fifths of the inputs are in the training, a tenth in validation, and a tenth in the test."""
    return {0: "validation", 1: "test"}.get(crc32(text.encode()) % 10, "train")
