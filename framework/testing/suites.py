"""The contract tests of tasks and sources as test classes: a subclass names the part, and pytest runs every test on it.

    class TestMine(TaskPromises):
        task = "task/mine"  # or Part(MineTask, ...)

This module does not import pytest, which collects the subclasses by the names of their methods.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, ClassVar

from framework.data.formats import Row
from framework.registry import Part
from framework.testing import sources, tasks
from framework.testing.promise import Promises
from framework.testing.toy_task import ToyTask


class TaskPromises(Promises):
    """Contract tests of a task, with its own format and a few rows.

    task: `task/NAME`, or a Part. rows: None = the first built-in ones. model: None = a small one that its rules let pass.
    """

    promises = tasks.TASK_PROMISES
    task: ClassVar[Part | str]
    rows: ClassVar[Sequence[Row] | None] = None
    model: ClassVar[Part | None] = None

    @classmethod
    @cache
    def toy(cls) -> ToyTask:
        return ToyTask(cls.task, cls.rows, cls.model)

    def run(self, promise: Callable[[ToyTask], None]) -> None:
        promise(self.toy())


class SourcePromises(Promises):
    """Contract tests of a source of rows (kind `data`).

    data: `data/NAME`, or a Part with values. format: the text format of its rows.
    """

    promises = (sources.rows_come_again, sources.rows_suit_the_format, sources.splits_are_apart)
    data: ClassVar[Part | str]
    format: ClassVar[Part | str]

    def source(self) -> Any:
        data, form = (Part(part) if isinstance(part, str) else part for part in (self.data, self.format))
        return data(format=form(), seed=0)

    def run(self, promise: Callable[[Any], None]) -> None:
        promise(self.source())

    def test_fingerprint_is_of_the_rows(self) -> None:
        sources.fingerprint_is_of_the_rows(self.source(), self.source())
