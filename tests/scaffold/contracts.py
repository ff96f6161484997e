"""The contract tests of scaffolds, run in the process of a program that a test starts."""

from collections.abc import Sequence

import pytest

from tests.sampling import Sampled

# Contracts that take the longest, the same code for every kind of part: in the suite, one kind has them (`--matrix=whole`: all).
LONGEST = ("test_runs_on_the_meta_device", "test_runs_compiled", "test_learns_the_order_of_words")
QUICK = f"not ({' or '.join(LONGEST)})"


def share_of(config: pytest.Config, share: float = 0.35) -> float:
    """The share of the contract tests of scaffolds that is run."""
    return 1.0 if config.getoption("matrix") == "whole" else share


def tested(words: list[str], share: float, axes: Sequence[str] = ("file",), longest: str = "") -> int:
    """Runs a share of `pytest WORDS` in this process. axes: "test" has each contract once at least; longest: expression for those tests
    whose longest contracts may be in the share."""
    which = [] if share == 1 else ["-k", f"{longest} or {QUICK}" if longest else QUICK]
    return int(pytest.main([*words, "-p", "no:cacheprovider", *which], plugins=[Sampled(share, axes)]))
