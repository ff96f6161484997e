"""Contract tests of the trainer specimen."""

from framework.testing import TrainerPromises


class TestSpecimenTrainer(TrainerPromises):
    part = "trainer/specimen"
