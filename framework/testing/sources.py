"""What sources of rows promise."""

import json
from itertools import islice

from framework.data.fingerprints import digest
from framework.data.module import data_spec_of
from framework.data.sources.base import Source
from framework.data.tokenization.trainers import BytesTokenizer
from framework.testing.promise import BrokenPromise

ROWS = 200  # looked at, of each split


def rows_come_again(source: Source) -> None:
    """Asked twice, a split gives the same rows in the same order; each is a dict that JSON can hold, and says where it was found."""
    for split in source.splits:
        once, again = (list(islice(source.rows(split), ROWS)) for _ in range(2))
        if not once:
            raise BrokenPromise(f"rows come again: the {split} part has none")
        if once != again:
            raise BrokenPromise(f"rows come again: the {split} part has other rows, or another order, the second time")
        for row, where in once:
            if json.loads(json.dumps(row)) != row or not where:
                raise BrokenPromise(f"rows come again: {row!r} ({where!r}) is not a dict that JSON can hold, with its place")


def rows_suit_the_format(source: Source) -> None:
    """Every row has the columns of the format, which can make numbers of it."""
    form = source.format
    tokenizer = BytesTokenizer().train(list)
    spec = data_spec_of(tokenizer, 512, form.fit(row for row, _ in source.rows("train")))
    for split in source.splits:
        for row, where in islice(source.rows(split), ROWS):
            missing = [column for column in form.columns if column not in row]
            if missing:
                raise BrokenPromise(f"rows suit the format: {where} has no {', '.join(missing)}, only {', '.join(row)}")
            try:
                form.encode(row, tokenizer, spec)
            except ValueError as error:
                raise BrokenPromise(f"rows suit the format: {where}: {error}") from error


def splits_are_apart(source: Source) -> None:
    """No row of the validation or test part is a row of another part."""
    seen: dict[str, str] = {}
    for split in source.splits:
        rows = {digest(row): split for row, _ in source.rows(split)}
        if shared := next((seen[key] for key in rows if key in seen), None):
            raise BrokenPromise(f"splits are apart: a row of the {split} part is in the {shared} part too")
        seen |= rows


def fingerprint_is_of_the_rows(source: Source, same: Source) -> None:
    """Two sources alike have the same fingerprint for a split, and each split its own: caches are keyed by it."""
    prints = {split: digest(source.fingerprint(split)) for split in source.splits}
    for split, value in prints.items():
        if digest(same.fingerprint(split)) != value:
            raise BrokenPromise(f"fingerprint is of the rows: that of the {split} part differs from one source to the next")
    if len(set(prints.values())) < len(prints):
        raise BrokenPromise(f"fingerprint is of the rows: {' and '.join(prints)} share one, and would share a cache")
