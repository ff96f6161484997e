"""Contract tests of the attention specimen."""

from framework.testing import AttentionPromises


class TestSpecimenAttention(AttentionPromises):
    part = "attention/specimen"
