"""Contract tests of the target specimen, in a task."""

from framework import Part
from framework.testing import TaskPromises


class TestSpecimenTarget(TaskPromises):
    task = Part("task/TASK", SLOT=Part("target/specimen"))
    rows = [{"text": "very " * number + "expensive", "label": 10.0**number} for number in range(9)]
