"""Contract tests of the optimizer specimen."""

from framework.testing import OptimizerPromises


class TestSpecimenOptimizer(OptimizerPromises):
    part = "optimizer/specimen"
