"""A seeded sample of the cases of a large parametrization: `@pytest.mark.matrix(share)`.

Every value of every axis stays in the sample. Axes are the arguments of the test; `axes=` names those that count, which a list of cases
without axes, `axes=()`, has none of. `pytest --matrix=whole` (`make test-whole`) runs every case.
"""

import math
import random
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
    """Plugin of a pytest that a test starts: a share of the tests of each file, every file and every name of a test among them."""

    def __init__(self, share: float):
        self.share = share

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        kept = sampled([{"file": item.path.name, "test": item.name} for item in items], self.share, "of files")
        items[:] = [item for place, item in enumerate(items) if place in kept]
