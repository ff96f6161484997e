"""Contract tests of learning rate schedules."""

import math
from collections.abc import Callable

from framework.errors import UserError
from framework.testing.contract import KindPromises, require
from framework.testing.promise import Inapplicable

STEPS = 100
LENGTHS = (1, 2, 7, STEPS, 100_000)


class SchedulePromises(KindPromises):
    """Contract tests of a schedule: the factor of `optimizer.lr`, by the number of updates so far."""

    def factor(self, total: float = STEPS, **values: float) -> Callable[[int], float]:
        return self.with_values(**values)(total=total)

    def test_factors_are_positive_and_finite(self) -> None:
        """The factor of every update is above 0, and finite; after the last update it is not negative. A run may have no limit."""
        for total in LENGTHS:
            factor = self.factor(total)
            for step in sorted({*range(min(total, 200)), total // 2, total - 1}):
                value = factor(step)
                require(
                    0 < value < math.inf, f"factors are positive and finite: that of step {step} is {value} in a run of {total} updates"
                )
            for step in (total, total + 1, 2 * total):
                value = factor(step)
                require(0 <= value < math.inf, f"factors are positive and finite: that of step {step} is {value}, after {total} updates")
        try:
            endless = self.factor(math.inf)
        except UserError:
            return  # the schedule needs a run with a limit, and says so
        values = [endless(step) for step in (0, 1, 1000, 10**9)]
        require(all(0 < value < math.inf for value in values), f"factors are positive and finite: {values} in a run without limit")

    def test_is_a_function_of_the_step(self) -> None:
        """The factor of a step depends on the step and the options alone: a resumed run continues with the same."""
        one, other = self.factor(), self.factor()
        forwards = [one(step) for step in range(STEPS)]
        backwards = [other(step) for step in reversed(range(STEPS))][::-1]
        differing = next((step for step in range(STEPS) if not forwards[step] == backwards[step] == one(step)), None)
        require(differing is None, f"is a function of the step: step {differing} has another factor when steps come in another order")

    def test_peaks_at_one(self) -> None:
        """The largest factor is 1: `optimizer.lr` is the peak learning rate."""
        for values in ({}, {"warmup": 10}):
            factor = self.factor(**values)
            largest = max(factor(step) for step in range(STEPS))
            require(
                abs(largest - 1) < 1e-9,
                f"peaks at one: the largest factor of {STEPS} updates is {largest:.6g}, with {values or 'defaults'}",
            )

    def test_warms_up_within_its_steps(self) -> None:
        """With `warmup` the factor rises for so many steps, and a share of all steps is the same as their number."""
        if not self.has("warmup"):
            raise Inapplicable("the schedule has no option warmup")
        factor = self.factor(warmup=20)
        rising = [factor(step) for step in range(21)]
        require(
            all(before < after for before, after in zip(rising, rising[1:], strict=False)),
            f"warms up within its steps: the factors of the first 20 steps are {', '.join(f'{value:.3g}' for value in rising)}",
        )
        share = [self.factor(warmup=0.2)(step) for step in range(STEPS)]
        require(share == [factor(step) for step in range(STEPS)], f"warms up within its steps: 0.2 of {STEPS} steps is not 20 steps")
        later = max(factor(step) for step in range(20, STEPS))
        require(later <= factor(20) + 1e-9, f"warms up within its steps: the factor still rises after the warm-up, to {later:.3g}")
