"""Contract tests of the model specimen."""

from framework.testing import ModelPromises


class TestSpecimenModel(ModelPromises):
    part = "model/specimen"
