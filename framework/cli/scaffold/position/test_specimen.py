"""Contract tests of the position specimen."""

from framework.testing import PositionPromises


class TestSpecimenPosition(PositionPromises):
    part = "position/specimen"
