"""The position specimen keeps what every position promises."""

from framework.testing import PositionPromises


class TestSpecimenPosition(PositionPromises):
    part = "position/specimen"
