"""Contract tests of the data source specimen."""

from framework.testing import SourcePromises


class TestSpecimenData(SourcePromises):
    data = "data/specimen"
    format = "format/FORMAT"
