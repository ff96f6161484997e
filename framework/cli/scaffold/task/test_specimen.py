"""The task specimen keeps what every task promises."""

from framework.testing import TaskPromises


class TestSpecimenTask(TaskPromises):
    task = "task/specimen"
