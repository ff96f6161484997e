"""Two runs side by side: what differs in their configs, their figures, and the rows on which they differ most."""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import numpy as np

from framework.comparing import tables
from framework.comparing.rows import OF_THE_DATA, RESAMPLES, Predicted, Tasks, influences, predicted, split_of
from framework.comparing.variants import Finished, shown
from framework.metrics.resampling import bootstrap, interval, p_value
from framework.runs.figures import figure_text, names_of
from framework.utils.excerpt import excerpt

SHOWN = 5  # rows on which each run is better than the other
WIDTH = 100  # characters of a text


def report(one: Finished, other: Finished, metric: str, lower: bool, table: Callable[..., list[str]] = tables.terminal) -> str:
    """The report on two runs. metric: `SPLIT/NAME`, by which rows are ranked. lower: whether it is better the lower it is. UserError: the
    parts of a run are not there."""
    tasks = Tasks()
    lines = [*_configs(one, other, table), ""]
    both = [predicted(run, tasks) for run in (one, other)]
    same = both[0] is not None and both[1] is not None and both[0].key == both[1].key
    lines += _figures(one, other, both if same else [], table)
    if not same:
        return "\n".join([*lines, "", "the two runs have no rows in common: only their figures can be compared"])
    name = metric.partition("/")[2]
    first, second = (each for each in both if each is not None)
    if metric.partition("/")[0] == split_of(one) and name in first.resampled.figures():
        lines += ["", *_rows(first, second, name, lower)]
    return "\n".join(lines)


def _configs(one: Finished, other: Finished, table: Callable[..., list[str]]) -> list[str]:
    keys = [key for key in dict.fromkeys((*one.values, *other.values)) if one.values.get(key) != other.values.get(key)]
    rows = [[key, shown(one.values.get(key)), shown(other.values.get(key))] for key in keys]
    rows += [["seed", shown(one.seed), shown(other.seed)]] if one.seed != other.seed else []
    return table(["", one.name, other.name], rows or [["config", "the same", "the same"]], 3)


def _figures(one: Finished, other: Finished, both: Sequence[Predicted | None], table: Callable[..., list[str]]) -> list[str]:
    names = [name for split in ("validation", "test") for figure in names_of(one.metrics) if (name := f"{split}/{figure}") in one.metrics]
    resampled = [each.resampled for each in both if each is not None]
    draws = bootstrap(resampled, RESAMPLES) if resampled else [{}, {}]
    rows = []
    for name in names:
        if name not in other.metrics:
            continue
        split, _, figure = name.partition("/")
        difference = one.metrics[name] - other.metrics[name]
        cells = [name, figure_text(one.metrics, name), figure_text(other.metrics, name), f"{difference:+.4f}", "", ""]
        if split == split_of(one) and figure in draws[0] and figure in draws[1]:
            drawn = draws[0][figure] - draws[1][figure]
            ends = interval(drawn)
            cells[4:] = ["" if ends is None else f"{ends[0]:+.4f} to {ends[1]:+.4f}", f"{p_value(drawn, difference):.4f}"]
        rows.append(cells)
    return table(["", one.name, other.name, "difference", "95 % (rows)", "p"], rows, 1)


def _rows(one: Predicted, other: Predicted, name: str, lower: bool) -> list[str]:
    found = (influences(one.resampled, name) - influences(other.resampled, name)) * (-1 if lower else 1)
    order = np.argsort(found, kind="stable").tolist()
    lines = []
    for title, places, sign in (("first", order[::-1], 1), ("second", order, -1)):
        differ = (place for place in places if sign * found[place] > 1e-12 and answers(one.rows[place]) != answers(other.rows[place]))
        better = list(islice(differ, SHOWN))
        lines.append(f"rows on which the {title} run is better{'' if better else ': none'}")
        for place in better:
            lines += _row(one.rows[place], other.rows[place])
    return lines


def _row(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """A row with the answers of both runs."""
    fields: list[tuple[str, Any]] = [(name, one[name]) for name in ("input", "reference") if name in one]
    fields += [(name, answers(row)) for name, row in (("first", one), ("second", other))]
    return [f"  row {one['row']}", *(f"{name:>12}: {excerpt(str(value), WIDTH)}" for name, value in fields)]


def answers(row: dict[str, Any]) -> Any:
    """The prediction of a row, or else all fields that do not come from the data."""
    return row["prediction"] if "prediction" in row else {name: value for name, value in row.items() if name not in (*OF_THE_DATA, "row")}
