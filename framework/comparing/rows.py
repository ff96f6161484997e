"""Runs by their rows: the figures of predictions.jsonl, of any choice of the rows."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from framework.comparing.variants import Finished
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.metrics.resampling import BLOCK, Array, Resampled, bootstrap

if TYPE_CHECKING:
    from framework.tasks.base import Task

OF_THE_DATA = ("input", "reference", "reference_tags", "bytes", "words")  # fields of a row that do not come from the model
RESAMPLES = 5000
CLOSE = 1e-6  # relative: the figure of the rows and that of metrics.json


@dataclass(frozen=True)
class Predicted:
    """A run with its rows. key: a digest of the fields that come from the data. resampled: its figures."""

    rows: list[dict[str, Any]]
    key: str
    resampled: Resampled


def split_of(run: Finished) -> str:
    """The split whose rows predictions.jsonl has."""
    return "test" if any(name.startswith("test/") for name in run.metrics) else "validation"


def read_rows(run: Finished) -> list[dict[str, Any]]:
    """The rows of predictions.jsonl; a number that was not finite, null in the file, is NaN. UserError: the file is damaged."""
    path = run.run.predictions
    if not path.is_file():
        return []
    rows = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if not isinstance(row, dict) or not isinstance(row.get("row"), int):
                raise UserError(f"{path}, line {number} is damaged: it is no row with its number")
            rows.append({name: math.nan if value is None else value for name, value in row.items()})
    return rows


def key_of(rows: Sequence[dict[str, Any]]) -> str:
    """A digest of the fields of rows that come from the data."""
    digest = hashlib.blake2b(digest_size=12)
    for row in rows:
        known = [row[name] for name in OF_THE_DATA if name in row] or [row.get("tokens")]
        digest.update(json.dumps([row["row"], known], sort_keys=True).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


class Tasks:
    """The tasks of runs, without weights; runs whose options and labels agree share one."""

    def __init__(self) -> None:
        self.known: dict[str, Task] = {}

    def of(self, run: Finished) -> "Task":
        """UserError: the run's parts are not there, or its data spec is damaged."""
        from framework.runs.build import build_task
        from framework.weights.meta import meta_device

        config, spec = run.run.config(), DataSpec.load(run.run.spec)
        key = json.dumps([config["task"], spec.labels, spec.vocab_size], sort_keys=True, default=str)
        if key not in self.known:
            with meta_device():
                self.known[key] = build_task(config, spec)
        return self.known[key]


def predicted(run: Finished, tasks: Tasks, metric: str | None = None) -> Predicted | None:
    """A run with its rows. metric: `SPLIT/NAME` of the one figure that is wanted; None = all of the split. None: the rows are not those of
    the figure, or it cannot be resampled. UserError: the rows do not belong to the run."""
    from framework.tasks.resampled import resampled

    split, _, name = (metric or f"{split_of(run)}/").partition("/")
    rows = read_rows(run) if split == split_of(run) else []
    if not rows:
        return None
    try:
        found = resampled(tasks.of(run), rows, [name] if name else None)
    except KeyError as error:
        raise UserError(f"{run.run.predictions} does not belong to the run: its rows have no {error}") from error
    if found is None or (name and not _same(found, name, run.metrics.get(f"{split}/{name}"))):
        return None
    return Predicted(rows, key_of(rows), found)


def _same(found: Resampled, name: str, value: float | None) -> bool:
    """Whether the rows have the figure of the run."""
    figure = found.figures().get(name)
    return figure is not None and value is not None and math.isclose(figure, value, rel_tol=CLOSE, abs_tol=CLOSE)


def drawn_together(runs: Sequence[Predicted | None], name: str) -> list[Array | None]:
    """The figures of resamples of each run, (R,): of runs with the same rows, of the same resamples."""
    draws: list[Array | None] = [None] * len(runs)
    resamples = min((one.resampled.most for one in runs if one is not None and one.resampled.most), default=RESAMPLES)
    for key in dict.fromkeys(one.key for one in runs if one is not None):
        places = [place for place, one in enumerate(runs) if one is not None and one.key == key]
        found = bootstrap([runs[place].resampled for place in places], resamples, [int(key, 16) % 2**32])  # type: ignore[union-attr]
        for place, each in zip(places, found, strict=True):
            draws[place] = each[name]
    return draws


def influences(one: Resampled, name: str) -> Array:
    """The influence (N,) of each row on a figure: the figure of all rows less that of all other rows. That on the difference of two systems
    is the difference of their influences."""
    value, parts = one.figures()[name], []
    block = max(1, BLOCK // one.rows)
    for start in range(0, one.rows, block):
        count = min(block, one.rows - start)
        weights = np.ones((count, one.rows))
        weights[np.arange(count), np.arange(start, start + count)] = 0
        parts.append(value - one.of(weights)[name])
    found: Array = np.concatenate(parts)
    return found
