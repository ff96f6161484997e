"""The verdict on a run: intervals of its figures, and whether it is better than its baseline."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from framework.metrics.resampling import ROWS, bootstrap, interval
from framework.runs.figures import DIFFERENCE, ends
from framework.tasks.base import Task
from framework.tasks.resampled import resampled


@dataclass(frozen=True)
class Verdict:
    """The verdict on a run.

    figures: for metrics.json: `low/SPLIT/NAME` and `high/SPLIT/NAME`, the 95 % interval of a figure; `difference/NAME` from the baseline,
    with an interval of its own. sentence: whether the run is better than its baseline; empty without one. better: None = unclear.
    """

    figures: dict[str, float] = field(default_factory=dict)
    sentence: str = ""
    better: bool | None = None


def judged(
    task: Task, split: str, rows: Sequence[dict[str, Any]], metrics: Mapping[str, float], baseline_rows: Sequence[dict[str, Any]]
) -> Verdict:
    """The verdict on the figures of a split. rows: of predictions.jsonl. metrics: with those of the baseline. baseline_rows: those that it
    predicts; the difference is then one over the same rows, resampled together."""
    own = resampled(task, rows) if len(rows) >= ROWS else None
    others = {row["row"]: row for row in baseline_rows}
    paired = own is not None and bool(others) and all(row["row"] in others for row in rows)
    other = resampled(task, [others[row["row"]] for row in rows]) if paired else None
    systems = [one for one in (own, other) if one is not None]
    drawn = bootstrap(systems) if systems else []
    found = {name: interval(values) for name, values in drawn[0].items()} if drawn else {}
    intervals = {name: each for name, each in found.items() if each is not None}
    figures = {end: value for name, each in intervals.items() for end, value in zip(ends(f"{split}/{name}"), each, strict=True)}
    name = compared(task, split, metrics)
    if name is None:
        return Verdict(figures)
    lower = task.mode == "min" if task.monitor == f"validation/{name}" else own is not None and name in own.lower
    value, reference = metrics[f"{split}/{name}"], metrics[f"baseline/{name}"]
    difference = value - reference
    if other is not None and name in other.figures():
        difference = value - other.figures()[name]  # of the same rows; the baseline may have predicted more
    if len(drawn) == 2 and name in drawn[0] and name in drawn[1] and (between := interval(drawn[0][name] - drawn[1][name])):
        named = f"{DIFFERENCE}/{name}"
        figures |= dict(zip((named, *ends(named)), (difference, *between), strict=True))
        said = f"{split}/{name} {difference:+.4f} (95 %: {between[0]:+.4f} to {between[1]:+.4f})"
    elif (around := intervals.get(name)) is not None:
        between = (around[0] - reference, around[1] - reference)
        said = f"{split}/{name} {value:.4f} (95 %: {around[0]:.4f} to {around[1]:.4f}), the baseline {reference:.4f}"
    else:
        between = (-math.inf, math.inf)
        said = f"{split}/{name} {value:.4f}, the baseline {reference:.4f}; without an interval"
    signs = [sign for sign, beyond in ((1, between[0] > 0), (-1, between[1] < 0)) if beyond]
    better = None if not signs else (signs[0] > 0) != lower
    words = {
        True: "better than the baseline",
        False: "worse than the baseline",
        None: f"no clear difference from the baseline on {len(rows):,} rows",
    }
    return Verdict(figures, f"{words[better]}: {said}", better)


def compared(task: Task, split: str, metrics: Mapping[str, float]) -> str | None:
    """The figure by which a run is compared with its baseline: the monitored one, or else the first that both have."""
    names = [key.partition("/")[2] for key in metrics if key.startswith("baseline/")]
    known = [
        name for name in names if math.isfinite(metrics[f"baseline/{name}"]) and math.isfinite(metrics.get(f"{split}/{name}", math.nan))
    ]
    monitored = task.monitor.partition("/")[2]
    return monitored if monitored in known else next(iter(known), None)
