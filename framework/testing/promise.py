"""Contract tests (promises) as test methods, and their outcomes other than success."""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar
from unittest import SkipTest


class BrokenPromise(AssertionError):
    """A part or a task fails a contract test. The message begins with the name of the promise."""


class Inapplicable(SkipTest):
    """The contract test does not apply to the part; pytest reports it as skipped."""


class Promises:
    """Base class: for each contract test in `promises` the class has a method `test_NAME`, which calls `run` with it."""

    promises: ClassVar[Iterable[Callable[[Any], None]]]
    run: Callable[..., None]

    def __init_subclass__(cls) -> None:
        for promise in vars(cls).get("promises", ()):
            setattr(cls, f"test_{promise.__name__}", lambda self, promise=promise: self.run(promise))
