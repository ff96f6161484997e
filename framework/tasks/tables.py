"""Rows of an evaluation as a table for readers: a text, a number or `Html` in each column."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from framework.utils.json_text import to_json
from framework.utils.markup import Html

if TYPE_CHECKING:
    from framework.tasks.base import Task

FIRST = ("row", "input", "reference", "prediction", "score")  # columns, before all others


def plain_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of `Task.evaluate` with the values of mappings in columns of their own (`scores/LABEL`), and lists as JSON."""
    return [_ordered(_flat(row)) for row in rows]


def with_figures(task: "Task", rows: Sequence[dict[str, Any]], table: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A table of rows with the figures of each row alone: its BLEU, its bits per byte."""
    from framework.tasks.resampled import resampled

    of_all = resampled(task, rows) if rows else None
    figures = {} if of_all is None else of_all.of(np.eye(len(rows)))
    return [{**row, **{name: float(values[number]) for name, values in figures.items()}} for number, row in enumerate(table)]


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}/{key}": each for key, each in value.items()}
        else:
            flat[name] = value
    return {name: value if value is None or isinstance(value, (str, int, float, Html)) else to_json(value) for name, value in flat.items()}


def _ordered(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in (*(name for name in FIRST if name in row), *(name for name in row if name not in FIRST))}
