"""Outcomes of a contract test, for tests of the contract tests."""

from collections.abc import Callable

import pytest

from framework.testing import Inapplicable


def not_skipped(test: Callable[[], None]) -> None:
    """Run a contract test, which must apply."""
    try:
        test()
    except Inapplicable as reason:
        pytest.fail(f"skipped: {reason}")
