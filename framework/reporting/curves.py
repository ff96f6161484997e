"""Learning curves: the figures of metrics.csv by step, of one run or of several."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from framework.errors import UserError
from framework.reporting.drawing import COLOURS, GRID, Picture, grid, picture, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FILE = "metrics.csv"
_LEFT_OUT = ("step", "epoch")
_SIDE_BY_SIDE = 2
_POINTS = 400  # of a curve; more are averaged in pairs, fours, ...


@dataclass(frozen=True)
class Curve:
    """A figure by step."""

    steps: list[int]
    values: list[float]


@dataclass(frozen=True)
class Curves:
    """The figures of a run, by their names."""

    figures: Mapping[str, Curve]

    def last(self) -> int:
        """The last step of any figure."""
        return max((curve.steps[-1] for curve in self.figures.values()), default=0)


def read_curves(folder: Path) -> Curves:
    """The figures in metrics.csv of a run's folder; none where there is no such file. UserError: it is damaged."""
    path, found = folder / FILE, dict[str, Curve]()
    if not path.is_file():
        return Curves({})
    try:
        with open(path, encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                for name, text in row.items():
                    if text and name and name not in _LEFT_OUT and not name.startswith("final/"):
                        curve, step = found.setdefault(name, Curve([], [])), int(row["step"])
                        if not curve.steps or step != curve.steps[-1]:  # at the end the best checkpoint is measured again
                            curve.steps.append(step)
                            curve.values.append(float(text))
    except (ValueError, TypeError, KeyError, csv.Error) as error:
        raise UserError(f"{path} is damaged: {error}") from None
    return Curves(found)


def panels(names: Sequence[str], monitor: str) -> list[tuple[str, list[str]]]:
    """The panels of a run's curves, title and names: the loss of all splits together, the monitored figure, then the others, those
    of training alone last."""
    splits = ("train", "validation")
    by_figure: dict[str, list[str]] = {}
    for name in names:
        split, _, figure = name.partition("/")
        if split in splits and figure:
            by_figure.setdefault(figure, []).append(name)
    first = ["loss", monitor.partition("/")[2]]

    def place(figure: str) -> tuple[int, bool, str]:
        known = first.index(figure) if figure in first else len(first)
        return known, by_figure[figure] == [f"train/{figure}"], figure

    order = sorted(by_figure, key=place)
    return [(figure, sorted(by_figure[figure])) for figure in order]


def run_curves(curves: Curves, monitor: str) -> Picture | None:
    """The learning curves of a run; None where it has none."""
    found = panels(list(curves.figures), monitor)
    if not found:
        return None

    def draw(figure: "Figure") -> None:
        rows = -(-len(found) // _SIDE_BY_SIDE)
        for number, (title, names) in enumerate(found, 1):
            axes = figure.add_subplot(rows, _SIDE_BY_SIDE, number)
            for name in names:
                train = name.startswith("train/")
                colour = COLOURS[1] if train else COLOURS[0]
                _line(axes, curves.figures[name], colour, name.partition("/")[0], alpha=0.8 if train else 1.0)
            _finish(axes, title, curves.last())
            if len(names) > 1:
                axes.legend()

    height = 0.4 + 1.9 * -(-len(found) // _SIDE_BY_SIDE)
    return picture("curves", "Learning curves: the figures of training and validation by optimizer step.", height, draw)


def overlaid(variants: Sequence[tuple[str, Sequence[Curves]]], monitor: str) -> Picture | None:
    """The monitored figure and the training loss of several runs by step: a colour for each variant, a line for each of its runs."""
    names = [name for name in dict.fromkeys((monitor, "train/loss")) if any(name in each.figures for _, runs in variants for each in runs)]
    shown = [(label, runs) for label, runs in variants if any(name in each.figures for name in names for each in runs)]
    if not names or not shown:
        return None

    def draw(figure: "Figure") -> None:
        for number, name in enumerate(names, 1):
            axes = figure.add_subplot(1, len(names), number)
            for place, (label, runs) in enumerate(shown):
                style = ("-", "--", ":", "-.")[place // len(COLOURS) % 4]
                for count, each in enumerate(curves for curves in runs if name in curves.figures):
                    named = short(label, 40) if not count else None
                    _line(axes, each.figures[name], COLOURS[place % len(COLOURS)], named, 0.85, style)
            _finish(axes, name, max(each.last() for _, runs in shown for each in runs))
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=1 if max(map(len, labels), default=0) > 30 else 3)

    lines = -(-len(shown) // 3)
    caption = "Learning curves of all runs: a colour for each variant, a line for each seed."
    return picture("curves", caption, 2.9 + 0.18 * lines, draw)


def _line(axes: "Axes", curve: Curve, colour: str, label: str | None, alpha: float = 1.0, style: str = "-") -> None:
    steps, values = thinned(curve)
    few = {"marker": "o", "markersize": 3} if len(steps) < 12 else {}
    axes.plot(steps, values, color=colour, label=label, alpha=alpha, linestyle=style, **few)  # type: ignore[arg-type]


def thinned(curve: Curve) -> tuple[list[float], list[float]]:
    """A curve of at most so many points, each the mean of neighbours."""
    group = -(-len(curve.steps) // _POINTS)
    if group == 1:
        return [float(step) for step in curve.steps], curve.values
    slices = [slice(start, start + group) for start in range(0, len(curve.steps), group)]
    return [_mean(curve.steps[each]) for each in slices], [_mean(curve.values[each]) for each in slices]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _finish(axes: "Axes", title: str, last: int) -> None:
    axes.set_title(title)
    axes.set_xlabel("step", color=GRID)
    axes.set_xlim(left=0, right=max(1, last) * 1.02)
    grid(axes)
