"""Contract tests of the tagging head specimen, in a task."""

from framework import Part
from framework.testing import TaskPromises


class TestSpecimenTagHead(TaskPromises):
    task = Part("task/TASK", SLOT=Part("tag_head/specimen"))
