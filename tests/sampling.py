"""A seeded sample of the cases of a large parametrization: `@pytest.mark.matrix(share)`.

Every value of every axis stays in the sample. Axes are the arguments of the test; `axes=` names those that count, which a list of cases
without axes, `axes=()`, has none of. `pytest --matrix=whole` (`make test-whole`) runs every case.
"""

import math
import random
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

SEED = 0


def sampled(cases: Sequence[Mapping[str, Hashable]], share: float, name: str) -> set[int]:
    """Places of the cases to keep: a share of them, at least one, and so many more that each value of each axis is in one of them.

    cases: axis -> value. name: of the test; each draws a sample of its own.
    """
    order = random.Random(f"{SEED} {name}").sample(range(len(cases)), len(cases))
    seen: set[tuple[str, Hashable]] = set()
    kept: list[int] = []
    for place in order:
        if not seen.issuperset(cases[place].items()):
            seen.update(cases[place].items())
            kept.append(place)
    most = max(1, math.ceil(share * len(cases)))
    rest = [place for place in order if place not in kept]
    return {*kept, *rest[: max(0, most - len(kept))]}


class Sampled:
    """Plugin of a pytest that a test starts: a share of the tests, three of every file, and each name of a test if "test" is an axis."""

    def __init__(self, share: float, axes: Sequence[str] = ("file", "test")):
        self.share, self.axes = share, axes

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        of_file: Counter[str] = Counter()
        cases = []
        for item in items:
            cases.append({"file": (item.path.name, min(of_file[item.path.name], 2)), "test": item.name})
            of_file[item.path.name] += 1
        kept = sampled([{axis: case[axis] for axis in self.axes} for case in cases], self.share, "contracts")
        items[:] = [item for place, item in enumerate(items) if place in kept]
