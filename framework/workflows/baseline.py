"""The baseline of a run: a simple method of its task, measured on the same rows, at a bounded cost."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.data.formats import Batch
from framework.data.module import Prepared
from framework.tasks.base import BaselineData, Task
from framework.tasks.resampled import figures_of

ROWS, TOKENS = 100_000, 20_000_000  # that are read at most, of the training part and of the part measured on


def baseline(prepared: Prepared, task: Task) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Figures of `Task.baseline` on the test part, or on validation where there is no test, and the rows it predicts, with their numbers;
    no rows where it has figures alone. Says so where it does not read all rows."""
    split = "test" if "test" in prepared.splits else "validation"
    if split not in prepared.splits:
        return {}, []
    counts = {name: rows_within(prepared.encoded[name].lengths) for name in ("train", split)}
    for name, count in counts.items():
        if count < (total := len(prepared.encoded[name])):
            print(f"baseline reads the first {count:,} of {total:,} rows of {name}; task.baseline=false leaves it out", flush=True)
    train = prepared.encoded["train"]
    data = BaselineData(
        islice(prepared.rows("train"), counts["train"]),
        islice(prepared.rows(split), counts[split]),
        (train[row] for row in range(counts["train"])),
        batches_within(prepared, split),
    )
    figures: dict[str, float] = {}
    rows: list[dict[str, Any]] = []
    for name, value in task.baseline(data).items():
        if isinstance(value, (int, float)):
            figures[name] = value
            continue
        figures |= {f"{name}{figure}": each for figure, each in figures_of(task, value).items()}
        rows = rows if name else [{"row": number, **row} for number, row in enumerate(value)]
    return {f"baseline/{name}": value for name, value in figures.items()}, rows


def rows_within(lengths: NDArray[np.int64]) -> int:
    """Number of rows, from the first, that a baseline reads; at least one."""
    return max(1, int(np.searchsorted(np.cumsum(lengths[:ROWS]), TOKENS, side="right")))


def batches_within(prepared: Prepared, split: str) -> Iterator[Batch]:
    left = TOKENS
    for batch in prepared.loader(split, shuffle=False):
        yield batch
        left -= batch["@rows"].tokens
        if left <= 0:
            return
