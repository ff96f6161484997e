"""Contract tests of the callback specimen."""

from framework import Part
from framework.testing import CallbackPromises


class TestSpecimenCallback(CallbackPromises):
    part = Part("callback/specimen", target=0.3)
