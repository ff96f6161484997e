"""Contract tests of the decoder specimen."""

from framework.testing import StackPromises


class TestSpecimenDecoder(StackPromises):
    part = "decoder/specimen"
