"""A schedule with restarts."""

import math
from typing import ClassVar

from framework import Schedule, register


@register("schedule")
class SpecimenSchedule(Schedule):
    """Cosine decay that restarts at the peak (SGDR). Loshchilov and Hutter 2017, section 3, https://arxiv.org/abs/1608.03983

    warmup: number of warm-up steps, or a share of all steps if below 1.
    floor: learning rate at the end of a cycle, as a share of optimizer.lr.
    cycles: number of decays in a run.
    """

    rules: ClassVar[dict[str, str]] = {
        **Schedule.rules,
        "0 <= floor <= 1": "floor must be in [0, 1], a share of optimizer.lr",
        "cycles >= 1": "cycles must be at least 1",
        "total < 1e18": "this schedule needs a run with a limit: set trainer.max_steps or trainer.max_epochs",
    }

    def __init__(self, total: float, warmup: float = 0.0, floor: float = 0.0, cycles: int = 3):
        super().__init__(total, warmup, floor)
        self.cycles = cycles

    def shape(self, step: int) -> float:
        """From 1 down to 0 in each cycle; the base class adds warm-up and floor."""
        done = self.cycles * self.progress(step) % 1  # of the cycle; `progress` is 0 after the warm-up and 1 at the end of the run
        return 0.5 * (1 + math.cos(math.pi * done))
