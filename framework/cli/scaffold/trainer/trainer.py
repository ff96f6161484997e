"""A trainer with a budget of time."""

from datetime import timedelta
from typing import Any, ClassVar

from framework import Part, register

LightningTrainer: Any = Part("trainer/lightning").cls  # the class of any option may be the base of another


@register("trainer")
class SpecimenTrainer(LightningTrainer):
    """Lightning's trainer, which stops after some minutes at most, whatever max_epochs and max_steps say.

    minutes: longest time of training; validation included.
    """

    rules: ClassVar[dict[str, str]] = {
        **LightningTrainer.rules,
        "minutes > 0": "minutes must be positive",
        "max_time is None": "minutes is the time limit of this trainer: set trainer.max_time=null",
    }

    def __init__(self, minutes: float = 60.0, **options: Any):
        super().__init__(**{**options, "max_time": timedelta(minutes=minutes)})
