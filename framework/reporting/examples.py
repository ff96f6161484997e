"""The rows that a run predicts best and worst."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from framework.comparing.rows import OF_THE_DATA, Tasks, influences, read_rows
from framework.comparing.two_runs import answers
from framework.comparing.variants import Finished
from framework.tasks.resampled import resampled

SHOWN = 5
MOST = 2000  # rows that are ranked


@dataclass(frozen=True)
class Examples:
    """Rows, the best and the worst first.

    ranked: how many rows they were chosen from; 0 where rows cannot be ranked, and `best` has the first ones. total: of all rows. figure:
    by which they are ranked.
    """

    best: list[dict[str, Any]]
    worst: list[dict[str, Any]]
    ranked: int
    total: int
    figure: str = ""


def examples(run: Finished, tasks: Tasks) -> Examples:
    """The rows with most influence on a figure, for the better and for the worse; of equal ones those of the largest score, the surest.

    The figure is the monitored one, or the first that is computed of rows. UserError: the run's parts are not there, or its rows are
    damaged.
    """
    rows = read_rows(run)
    shown = [row for row in rows[:MOST] if "prediction" in row]
    try:
        task = tasks.of(run)
        found = resampled(task, rows[:MOST]) if rows else None
    except KeyError:  # rows of another version of the task
        found = None
    if found is None or not (names := list(found.figures())):
        return Examples(shown[:SHOWN], [], 0, len(rows))
    monitored = task.monitor.partition("/")[2]
    name = monitored if monitored in names else names[0]
    lower = task.mode == "min" if name == monitored else name in found.lower
    gains = np.nan_to_num(influences(found, name) * (-1 if lower else 1)).round(12).tolist()
    gain_of = {id(row): gain for row, gain in zip(rows[:MOST], gains, strict=True)}
    best = sorted(shown, key=lambda row: (-gain_of[id(row)], -_score(row)))[:SHOWN]
    worst = sorted(shown, key=lambda row: (gain_of[id(row)], -_score(row)))[:SHOWN]
    middle = sum(gains) / max(1, len(gains))
    worst = [row for row in worst if gain_of[id(row)] < middle and all(row is not other for other in best)]
    return Examples(best, worst, len(gains), len(rows), name)


def _score(row: dict[str, Any]) -> float:
    score = row.get("score")
    return float(score) if isinstance(score, (int, float)) else 0.0


def cells(row: dict[str, Any]) -> list[Any]:
    """Number, input, reference, answer and score of a row."""
    answer = answers(row)
    if isinstance(answer, list):  # spans
        answer = [{key: value for key, value in each.items() if key != "score"} if isinstance(each, dict) else each for each in answer]
    known = {name: row[name] for name in OF_THE_DATA if name in row}
    score = row.get("score")
    return [row["row"], known.get("input", ""), known.get("reference", ""), answer, f"{score:.3f}" if isinstance(score, float) else ""]
