"""How the learning rate moves over a run: each schedule gives the factor on the optimizer's `lr` at a step."""

import math
from typing import ClassVar

from framework.errors import UserError
from framework.registry import register


class Schedule:
    """A factor for every step: it rises linearly during the warm-up, then takes the shape of its class.

    An owner offers: total (optimizer steps of the whole run; `math.inf` where the trainer sets no end).
    """

    rules: ClassVar[dict[str, str]] = {"warmup >= 0": "a warm-up is a number of steps, or a share of all steps below 1"}

    def __init__(self, total: float, warmup: float = 0.0, floor: float = 0.0):
        self.total = total
        self.warmup = self.steps(warmup, "warmup")
        self.floor = floor

    def steps(self, amount: float, option: str) -> float:
        """Steps as they are; a share (below 1) of all steps."""
        if 0 < amount < 1 and math.isinf(self.total):
            raise UserError(f"schedule.{option}={amount} is a share of a run without end: set trainer.max_steps, or give steps (1 or more)")
        return round(amount * self.total) if 0 < amount < 1 else amount

    def __call__(self, step: int) -> float:
        """The factor of the update that follows `step` updates."""
        if step < self.warmup:
            return (step + 1) / (self.warmup + 1)
        return self.floor + (1 - self.floor) * self.shape(step)

    def shape(self, step: int) -> float:
        """From 1 at the end of the warm-up; the floor is taken care of."""
        raise NotImplementedError

    def progress(self, step: int) -> float:
        """0 at the end of the warm-up, 1 at the end of the run."""
        return min(1.0, (step - self.warmup) / max(1, self.total - self.warmup))


class _Ending(Schedule):
    """A schedule that has to know where the run ends."""

    rules: ClassVar[dict[str, str]] = {
        **Schedule.rules,
        "0 <= floor <= 1": "the floor is a share of the learning rate",
        "total < 1e18": "this schedule ends with the run, and the run has no end: set trainer.max_steps or trainer.max_epochs",
    }


@register("schedule")
class Constant(Schedule):
    """The learning rate stays where the warm-up ends.

    warmup: steps of linear rise; below 1, a share of all steps.
    """

    def __init__(self, total: float, warmup: float = 0.0):
        super().__init__(total, warmup)

    def shape(self, step: int) -> float:
        return 1.0


@register("schedule")
class Linear(_Ending):
    """The learning rate falls on a line, to the floor at the last step. Devlin et al. 2019, appendix A.2, https://arxiv.org/abs/1810.04805

    warmup: steps of linear rise; below 1, a share of all steps.
    floor: where it ends, as a share of the learning rate.
    """

    def shape(self, step: int) -> float:
        return 1 - self.progress(step)


@register("schedule")
class Cosine(_Ending):
    """The learning rate falls on half a cosine, to the floor at the last step. Loshchilov and Hutter 2017, equation 5, https://arxiv.org/abs/1608.03983

    warmup: steps of linear rise; below 1, a share of all steps.
    floor: where it ends, as a share of the learning rate.
    """

    def shape(self, step: int) -> float:
        return 0.5 * (1 + math.cos(math.pi * self.progress(step)))


@register("schedule")
class InverseSquareRoot(Schedule):
    """The learning rate falls with the square root of the steps. Vaswani et al. 2017, equation 3, https://arxiv.org/abs/1706.03762

    warmup: steps of linear rise; below 1, a share of all steps.
    floor: what it never falls below, as a share of the learning rate.
    """

    rules: ClassVar[dict[str, str]] = {**Schedule.rules, "0 <= floor <= 1": "the floor is a share of the learning rate"}

    def shape(self, step: int) -> float:
        return math.sqrt((self.warmup + 1) / (step + 1))


@register("schedule")
class WarmupStableDecay(_Ending):
    """The learning rate stays, then falls during the last steps. Hägele et al. 2024, section 3, https://arxiv.org/abs/2405.18392

    warmup: steps of linear rise; below 1, a share of all steps.
    floor: where it ends, as a share of the learning rate.
    decay: steps of the fall at the end; below 1, a share of all steps.
    """

    def __init__(self, total: float, warmup: float = 0.0, floor: float = 0.0, decay: float = 0.2):
        super().__init__(total, warmup, floor)
        self.decay = self.steps(decay, "decay")

    def shape(self, step: int) -> float:
        fallen = min(1.0, max(0.0, (step - (self.total - self.decay)) / max(1, self.decay)))
        return 1 - math.sqrt(fallen)
