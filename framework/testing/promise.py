"""Outcomes of a contract test (promise) other than success."""

from unittest import SkipTest


class BrokenPromise(AssertionError):
    """A part or a task fails a contract test. The message begins with the name of the promise."""


class Inapplicable(SkipTest):
    """The contract test does not apply to the part; pytest reports it as skipped."""
