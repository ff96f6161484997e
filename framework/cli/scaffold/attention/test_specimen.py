"""The attention specimen keeps what every attention promises."""

from framework.testing import AttentionPromises


class TestSpecimenAttention(AttentionPromises):
    part = "attention/specimen"
