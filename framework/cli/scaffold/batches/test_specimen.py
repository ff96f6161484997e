"""Contract tests of the batch sampler specimen."""

from framework.testing import BatchesPromises


class TestSpecimenBatches(BatchesPromises):
    part = "batches/specimen"
