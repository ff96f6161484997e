"""Figures with their 95 % intervals: of one run beside its baseline, and of variants."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from framework.comparing.comparison import Comparison
from framework.reporting.drawing import COLOURS, GRID, Picture, grid, picture, short
from framework.runs.figures import interval_of, names_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def run_bars(metrics: Mapping[str, float], split: str) -> Picture | None:
    """The figures of a run that have an interval, each on a scale of its own, with that of the baseline; None where none has one."""
    names = [name for name in names_of(metrics) if interval_of(metrics, f"{split}/{name}") and math.isfinite(metrics[f"{split}/{name}"])]
    if not names:
        return None

    def draw(figure: "Figure") -> None:
        for number, name in enumerate(names, 1):
            axes = figure.add_subplot(len(names), 1, number)
            value, between = metrics[f"{split}/{name}"], interval_of(metrics, f"{split}/{name}")
            assert between is not None
            axes.plot(between, [0, 0], color=COLOURS[0], linewidth=5, alpha=0.45, solid_capstyle="butt")
            axes.plot([value], [0], "o", color=COLOURS[0], label=f"{split}, with the 95 % interval")
            if (baseline := metrics.get(f"baseline/{name}")) is not None and math.isfinite(baseline):
                axes.plot([baseline], [0], "D", color=COLOURS[1], markersize=5, label="baseline")
            axes.set_yticks([0], [short(name)])
            axes.set_ylim(-1, 1)
            axes.margins(x=0.12)
            axes.spines["left"].set_visible(False)
            axes.tick_params(axis="y", length=0)
            grid(axes, "x")
        best = max(figure.axes, key=lambda axes: len(axes.lines))
        figure.legend(*best.get_legend_handles_labels(), loc="outside upper right", ncols=2)

    caption = f"Figures on the {split} rows with their 95 % intervals, each on a scale of its own; diamonds are the baseline."
    return picture("figures", caption, 0.5 + 0.55 * len(names), draw)


def variant_bars(found: Comparison, baselines: Sequence[float] = ()) -> Picture:
    """The figure of each variant, the mean over seeds, with its 95 % interval and the figure of each seed. baselines: those of the runs."""
    labels = [short(variant.label, 44) for variant in found.variants]

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot(1, 1, 1)
        for place, (trainings, between) in enumerate(zip(found.trainings, found.intervals, strict=True)):
            colour = COLOURS[0] if place == found.best else GRID
            if between is not None:
                axes.plot(between, [place, place], color=colour, linewidth=7, alpha=0.4, solid_capstyle="butt")
            axes.plot(trainings.values.tolist(), [place] * len(trainings.values), "o", color=COLOURS[1], markersize=3.5, alpha=0.9)
            axes.plot([trainings.mean], [place], "|", color=colour, markersize=13, markeredgewidth=2.5)
        for value in sorted({round(value, 6) for value in baselines if math.isfinite(value)}):
            axes.axvline(value, color=COLOURS[2], linestyle="--", linewidth=1, zorder=0)
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(len(labels) - 0.4, -0.8)
        axes.set_xlabel(found.metric)
        axes.margins(x=0.06)
        grid(axes, "x")

    caption = f"{found.metric}: the mean over seeds (bar, the best in blue), its 95 % interval (band), and each seed (dot)."
    caption += " Dashed lines are the baselines, which may differ with the seed's training rows." if baselines else ""
    return picture("figures", caption, 0.9 + 0.34 * len(labels), draw)
