"""Contract tests of the norm specimen."""

from framework.testing import NormPromises


class TestSpecimenNorm(NormPromises):
    part = "norm/specimen"
