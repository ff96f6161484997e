"""Contract tests of the text format specimen."""

from framework.testing import FormatPromises


class TestSpecimenFormat(FormatPromises):
    part = "format/specimen"
