"""Error rate and power of the test in `compare`, on planted trainings: `python benchmarks/significance.py [DRAWS]`.

Planted trainings on shared test rows: a training is right on a row where the difficulty of the row, the shift of the variant, an effect of
the seed and noise sum to more than zero. Prints for each setting the standard deviation over seeds, claims among identical variants, and
claims where the variants differ by about three points, and one point, of accuracy.
"""

import sys
from time import process_time

import numpy as np

from framework.comparing.significance import Assessment, Trainings, assess
from framework.metrics.resampling import Resampled, bootstrap, sums

ROWS, RESAMPLES = 1821, 1000
SETTINGS = [(seeds, of_seeds, 0.3) for seeds in (1, 2, 3) for of_seeds in (0.01, 0.03, 0.1)]
SHIFTS = (0.0, 0.125, 0.042)


def accuracy(right: np.ndarray) -> Resampled:
    return sums(np.stack((right, np.ones(len(right))), 1), lambda summed: {"": summed[:, 0] / summed[:, 1]})


def draw(random: np.random.Generator, seeds: int, shift: float, of_seeds: float, of_rows: float) -> tuple[Assessment, float]:
    """The assessment of two variants with so many seeds, and the deviation over seeds of the first."""
    difficulty = random.normal(1, 1, ROWS)

    def training(shift: float) -> np.ndarray:
        return (difficulty + shift + random.normal(0, of_seeds) + random.normal(0, of_rows, ROWS) > 0).astype(float)

    right = [training(each) for each in (shift, 0.0) for _ in range(seeds)]
    drawn = np.stack([found[""] for found in bootstrap([accuracy(each) for each in right], RESAMPLES)])
    values = np.array([each.mean() for each in right])
    one, other = (Trainings(list(range(seeds)), values[half], drawn[half], [0] * seeds) for half in (slice(seeds), slice(seeds, None)))
    found = assess(one, other)
    assert found is not None
    return found, one.deviation


def main(draws: int) -> None:
    print(f"{'seeds':>5} {'sd over seeds':>14} {'identical':>10} {'3 points':>9} {'1 point':>8}   claims in {draws} draws of {ROWS:,} rows")
    for seeds, of_seeds, of_rows in SETTINGS:
        random = np.random.default_rng(seeds)
        found = [[draw(random, seeds, shift, of_seeds, of_rows) for _ in range(draws)] for shift in SHIFTS]
        claims = [sum(each.p <= 0.05 for each, _ in some) for some in found]
        deviation = float(np.nanmean([spread for some in found for _, spread in some])) if seeds > 1 else float("nan")
        print(f"{seeds:>5} {deviation:>14.4f} {claims[0]:>10} {claims[1]:>9} {claims[2]:>8}", flush=True)
    print(f"{process_time():.0f} CPU-seconds")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
