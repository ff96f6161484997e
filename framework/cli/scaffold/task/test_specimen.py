"""Contract tests of the task specimen."""

from framework.testing import TaskPromises


class TestSpecimenTask(TaskPromises):
    task = "task/specimen"
