"""Contract tests of the classifier specimen, in a task."""

from framework import Part
from framework.testing import TaskPromises


class TestSpecimenClassifier(TaskPromises):
    task = Part("task/TASK", SLOT=Part("classifier/specimen"))
    rows = [{"text": "good " * number + "day", "label": "odd" if number % 2 else "even"} for number in range(9)]
