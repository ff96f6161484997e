"""What is raised where a promise does not hold, or cannot be held to anybody."""

from unittest import SkipTest


class BrokenPromise(AssertionError):
    """A part or a task does not do what its kind promises. The message begins with the name of the promise."""


class Inapplicable(SkipTest):
    """The promise says nothing of this part (pytest shows it as skipped)."""
