"""Contract tests of the block specimen."""

from framework.testing import BlockPromises


class TestSpecimenBlock(BlockPromises):
    part = "block/specimen"
