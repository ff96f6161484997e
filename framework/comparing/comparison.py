"""A comparison of variants: their figures over seeds, and which of them differ by more than noise."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from framework.comparing.rows import Predicted, Tasks, drawn_together, predicted, split_of
from framework.comparing.significance import ALPHA, Assessment, Trainings, assess, holm, pooled, spread
from framework.comparing.variants import Finished, Variant
from framework.errors import UserError
from framework.metrics.resampling import Array, interval
from framework.registry import nearest


@dataclass(frozen=True)
class Pair:
    """Two variants by their places. test: None where the rows differ. adjusted: the p-value, adjusted for the number of pairs."""

    one: int
    other: int
    test: Assessment | None
    adjusted: float = math.nan

    @property
    def differs(self) -> bool:
        return self.test is not None and self.adjusted <= ALPHA


@dataclass(frozen=True)
class Comparison:
    """Variants by one figure. lower: whether it is better the lower it is. columns: the keys that tell the variants apart. trainings,
    intervals: of each variant; an interval is over rows, and over seeds where there are several. best: the place of the best one."""

    metric: str
    lower: bool
    columns: list[str]
    variants: list[Variant]
    trainings: list[Trainings]
    intervals: list[tuple[float, float] | None]
    pairs: list[Pair]
    best: int
    rows: int | None
    remarks: list[str]


def metric_of(runs: Sequence[Finished], given: str | None) -> str:
    """The figure to compare: the one that is named, or the monitored one, on the test rows where there are any. UserError: a run has no
    such figure."""
    monitored = str(runs[0].notes.get("monitor", "validation/loss"))
    split = "test" if all(split_of(run) == "test" for run in runs) else "validation"
    name = given or monitored.partition("/")[2]
    metric = name if name.partition("/")[0] in ("test", "validation") else f"{split}/{name}"
    for run in runs:
        if metric not in run.metrics:
            known = [each for each in run.metrics if each.partition("/")[0] in ("test", "validation")]
            raise UserError(f"metric={metric}: {run.run.folder} has no such figure{nearest(metric, known)}; it has {', '.join(known)}")
    return metric


def compared(runs: Sequence[Finished], columns: list[str], groups: list[Variant], metric: str) -> Comparison:
    """The comparison of variants. UserError: a run's parts are not there, or its rows are damaged."""
    tasks, name = Tasks(), metric.partition("/")[2]
    found = {run.run.folder: predicted(run, tasks, metric) for run in runs}
    order = [run for group in groups for run in group.runs]
    draws = dict(zip((run.run.folder for run in order), drawn_together([found[run.run.folder] for run in order], name), strict=True))
    remarks = _remarks(order, found, metric)
    mixed = any(len({run.seed for run in group.runs}) < len(group.runs) for group in groups)
    trainings = [_trainings(group, columns, [found[run.run.folder] for run in group.runs], draws, metric) for group in groups]
    lower = _lower(order[0], name, next((one for one in found.values() if one is not None), None), tasks)
    common, places = pooled(trainings), list(combinations(range(len(groups)), 2))
    tests = [(one, other, assess(trainings[one], trainings[other], mixed, common, len(places))) for one, other in places]
    adjusted = iter(holm([test.p for _, _, test in tests if test is not None]))
    pairs = [Pair(one, other, test, math.nan if test is None else next(adjusted)) for one, other, test in tests]
    best = (min if lower else max)(range(len(groups)), key=lambda place: trainings[place].mean)
    rows = {len(one.rows) for one in found.values() if one is not None}
    intervals = [_interval(each, common) for each in trainings]
    return Comparison(metric, lower, columns, groups, trainings, intervals, pairs, best, rows.pop() if len(rows) == 1 else None, remarks)


def _trainings(
    group: Variant, columns: Sequence[str], found: Sequence[Predicted | None], draws: "dict[Path, Array | None]", metric: str
) -> Trainings:
    others = [key for key in dict.fromkeys(key for run in group.runs for key in run.values) if key not in columns]
    different = [key for key in others if len({repr(run.values.get(key)) for run in group.runs}) > 1]
    keys = [repr((run.seed, run.fold, [run.values.get(key) for key in different])) for run in group.runs]
    drawn = [draws[run.run.folder] for run in group.runs]
    known = None if any(each is None for each in drawn) else np.stack([each for each in drawn if each is not None])
    split = metric.partition("/")[0]
    sums = [run.notes.get("checksums", {}).get(split, run.name) for run in group.runs]  # of the rows as the source read them
    rows = [total if one is None else one.key for total, one in zip(sums, found, strict=True)]
    folds = {run.fold for run in group.runs if run.fold is not None}
    overlap = 1 / (group.runs[0].config["data"]["folds"] - 1) if len(folds) > 1 else 0.0
    return Trainings(keys, np.array([run.metrics[metric] for run in group.runs]), known, rows, overlap)


def _interval(trainings: Trainings, common: tuple[float, float]) -> tuple[float, float] | None:
    deviations = spread(trainings, common=common).deviations()
    return None if deviations is None else interval(trainings.mean + deviations)


def _lower(run: Finished, name: str, found: Predicted | None, tasks: Tasks) -> bool:
    """Whether a figure is better the lower it is."""
    task = tasks.of(run)
    if task.monitor.partition("/")[2] == name:
        return task.mode == "min"
    return name == "loss" or (found is not None and name in found.resampled.lower)


def _remarks(runs: Sequence[Finished], found: "dict[Path, Predicted | None]", metric: str) -> list[str]:
    """Why runs are compared by their figures alone."""
    remarks = []
    without = [run.name for run in runs if found[run.run.folder] is None]
    if without:
        remarks.append(f"{len(without)} of {len(runs)} runs have no rows for {metric}: they are compared by their figures alone")
    signatures = {repr(run.notes.get("signatures", {}).get(metric.partition("/")[2])) for run in runs}
    if len(signatures) > 1:
        remarks.append(f"{metric} was not computed in one way, so the figures do not compare: {'; '.join(sorted(signatures))}")
    return remarks
