"""Contract tests of the adapter specimen."""

from framework.testing import AdapterPromises


class TestSpecimenAdapter(AdapterPromises):
    part = "adapter/specimen"
