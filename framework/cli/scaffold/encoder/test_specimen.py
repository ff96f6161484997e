"""Contract tests of the encoder specimen."""

from framework.testing import StackPromises


class TestSpecimenEncoder(StackPromises):
    part = "encoder/specimen"
