"""Learning rate schedules: multipliers of the optimizer's `lr`."""

import math
from typing import ClassVar

from framework.errors import UserError
from framework.registry import register


class Schedule:
    """Base class: linear warm-up, then the shape of the class.

    Context arguments: total (optimizer steps of the run; `math.inf` if the trainer has no limit).

    >>> schedule = Part("schedule/linear", warmup=2)(total=10)
    >>> isinstance(schedule, Schedule), [round(schedule(step), 2) for step in range(4)]
    (True, [0.33, 0.67, 1.0, 0.88])

    warmup: number of warm-up steps, or a share of all steps if below 1.
    floor: lowest learning rate as a share of optimizer.lr.
    """

    rules: ClassVar[dict[str, str]] = {
        "warmup >= 0 and (warmup < 1 or warmup % 1 == 0)": "warmup must be a number of steps, or a share of all steps below 1",
        "warmup < 1e9": "warmup must be below 1,000,000,000 steps",
    }

    def __init__(self, total: float, warmup: float = 0.0, floor: float = 0.0):
        self.total = total
        self.warmup = self.steps(warmup, "warmup")
        self.floor = floor

    def steps(self, amount: float, option: str) -> float:
        """A number of steps, or a share (below 1) of all steps as a number."""
        if 0 < amount < 1 and math.isinf(self.total):
            raise UserError(f"schedule.{option}={amount} is a share of a run without limit: set trainer.max_steps, or a number of steps")
        return round(amount * self.total) if 0 < amount < 1 else amount

    def __call__(self, step: int) -> float:
        """The multiplier of the update after `step` updates."""
        if step < self.warmup:
            return (step + 1) / (self.warmup + 1)
        return self.floor + (1 - self.floor) * self.shape(step)

    def shape(self, step: int) -> float:
        """The multiplier after the warm-up, from 1 down to 0; `__call__` adds the floor."""
        raise NotImplementedError

    def progress(self, step: int) -> float:
        """0 at the end of the warm-up, 1 at the end of the run."""
        return min(1.0, (step - self.warmup) / max(1, self.total - self.warmup))


class _Ending(Schedule):
    """Base class of schedules that depend on the length of the run."""

    rules: ClassVar[dict[str, str]] = {
        **Schedule.rules,
        "0 <= floor <= 1": "floor must be in [0, 1], a share of optimizer.lr",
        "total < 1e18": "this schedule needs a run with a limit: set trainer.max_steps or trainer.max_epochs",
    }


@register("schedule")
class Constant(Schedule):
    """Constant learning rate after the warm-up."""

    def __init__(self, total: float, warmup: float = 0.0):
        super().__init__(total, warmup)

    def shape(self, step: int) -> float:
        return 1.0


@register("schedule")
class Linear(_Ending):
    """Linear decay to the floor at the last step. Devlin et al. 2019, appendix A.2, https://arxiv.org/abs/1810.04805"""

    def shape(self, step: int) -> float:
        return 1 - self.progress(step)


@register("schedule")
class Cosine(_Ending):
    """Cosine decay to the floor at the last step. Loshchilov and Hutter 2017, equation 5, https://arxiv.org/abs/1608.03983"""

    def shape(self, step: int) -> float:
        return 0.5 * (1 + math.cos(math.pi * self.progress(step)))


@register("schedule")
class InverseSquareRoot(Schedule):
    """Decay with the inverse square root of the step. Vaswani et al. 2017, equation 3, https://arxiv.org/abs/1706.03762"""

    rules: ClassVar[dict[str, str]] = {**Schedule.rules, "0 <= floor <= 1": "floor must be in [0, 1], a share of optimizer.lr"}

    def shape(self, step: int) -> float:
        return math.sqrt((self.warmup + 1) / (step + 1))


@register("schedule")
class WarmupStableDecay(_Ending):
    """Constant learning rate, then decay in the last steps. Hägele et al. 2024, section 3, https://arxiv.org/abs/2405.18392

    decay: number of decay steps at the end, or a share of all steps if below 1.
    """

    rules: ClassVar[dict[str, str]] = {
        **_Ending.rules,
        "decay > 0 and (decay < 1 or decay % 1 == 0)": "decay must be a number of steps, or a share of all steps below 1",
        "decay < 1e9": "decay must be below 1,000,000,000 steps",
        "decay < 1 or decay + warmup <= total": "the steps of decay and warmup must not be more than those of the run",
    }

    def __init__(self, total: float, warmup: float = 0.0, floor: float = 0.0, decay: float = 0.2):
        super().__init__(total, warmup, floor)
        self.decay = self.steps(decay, "decay")

    def shape(self, step: int) -> float:
        fallen = min(1.0, max(0.0, (step - (self.total - self.decay)) / max(1, self.decay)))
        return 1 - math.sqrt(fallen)
