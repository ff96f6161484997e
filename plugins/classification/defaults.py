"""Settings of classification that are chosen from the training rows; docs/defaults.md has what was tried."""

from collections.abc import Iterator

from framework import Facts, Setting

WHOLE = 0.97  # share of the texts that is read whole, if that is not longer than LONGEST
SHORTEST, LONGEST = 32, 1024


def settings(facts: Facts) -> Iterator[Setting]:
    length = max(SHORTEST, min(LONGEST, -(-facts.length_of(WHOLE) // 32) * 32))
    yield Setting({"model": {"max_length": length}}, f"{facts.share_within(length):.0%} of the texts whole")
