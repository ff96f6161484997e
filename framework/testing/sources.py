"""Contract tests of sources of rows."""

import json
from itertools import islice

from framework.data.fingerprints import digest
from framework.data.module import data_spec_of
from framework.data.sources.base import Source
from framework.data.tokenization.trainers import BytesTokenizer
from framework.testing.promise import BrokenPromise

ROWS = 200  # of each split are read


def rows_come_again(source: Source) -> None:
    """A split has the same rows in the same order each time. Each row is a JSON-able dict with its place in the source."""
    for split in source.splits:
        first, second = (list(islice(source.rows(split), ROWS)) for _ in range(2))
        if not first:
            raise BrokenPromise(f"rows come again: the {split} part has no rows")
        if first != second:
            raise BrokenPromise(f"rows come again: the {split} part has other rows, or another order, the second time")
        for row, where in first:
            if json.loads(json.dumps(row)) != row or not where:
                raise BrokenPromise(f"rows come again: {row!r} ({where!r}) is not a JSON-able dict with its place in the source")


def rows_suit_the_format(source: Source) -> None:
    """Every row has the columns of the format, and the format encodes it."""
    format = source.format
    tokenizer = BytesTokenizer().train(list)
    spec = data_spec_of(tokenizer, 512, format.fit(row for row, _ in source.rows("train")))
    for split in source.splits:
        for row, where in islice(source.rows(split), ROWS):
            missing = [column for column in format.columns if column not in row]
            if missing:
                raise BrokenPromise(f"rows suit the format: {where} has no {', '.join(missing)}, only {', '.join(row)}")
            try:
                format.encode(row, tokenizer, spec)
            except ValueError as error:
                raise BrokenPromise(f"rows suit the format: {where}: {error}") from error


def splits_are_apart(source: Source) -> None:
    """No row is in two parts."""
    seen: dict[str, str] = {}
    for split in source.splits:
        rows = {digest(row): split for row, _ in source.rows(split)}
        if shared := next((seen[key] for key in rows if key in seen), None):
            raise BrokenPromise(f"splits are apart: a row of the {split} part is in the {shared} part too")
        seen |= rows


def fingerprint_is_of_the_rows(source: Source, same: Source) -> None:
    """Equal sources have equal fingerprints of a split, and each split has its own: they are the keys of caches."""
    prints = {split: digest(source.fingerprint(split)) for split in source.splits}
    for split, value in prints.items():
        if digest(same.fingerprint(split)) != value:
            raise BrokenPromise(f"fingerprint is of the rows: that of the {split} part differs between equal sources")
    if len(set(prints.values())) < len(prints):
        raise BrokenPromise(f"fingerprint is of the rows: {' and '.join(prints)} share one, and would share a cache")
