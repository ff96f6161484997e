"""Contract tests of the distillation loss specimen."""

from framework.testing import DistillationPromises


class TestSpecimenDistillation(DistillationPromises):
    part = "distillation/specimen"
