"""The rows of specimen keep what every source promises."""

from framework.testing import SourcePromises


class TestSpecimenData(SourcePromises):
    data = "data/specimen"
    format = "format/of_a_reader"
