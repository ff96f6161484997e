"""Contract tests of the decoding strategy specimen."""

from framework.testing import DecodingPromises


class TestSpecimenDecoding(DecodingPromises):
    part = "decoding/specimen"
