"""Figures in metrics.json: `SPLIT/NAME`, and where a figure has a 95 % interval `low/SPLIT/NAME` and `high/SPLIT/NAME`."""

import re
from collections.abc import Mapping

SPLITS = ("validation", "test", "baseline")
LOW, HIGH, DIFFERENCE = "low", "high", "difference"  # difference/NAME: from the baseline


def ends(name: str) -> tuple[str, str]:
    """The names of the ends of a figure's interval."""
    return f"{LOW}/{name}", f"{HIGH}/{name}"


def interval_of(metrics: Mapping[str, float], name: str) -> tuple[float, float] | None:
    """The interval of a figure, where it has one."""
    low, high = (metrics.get(end) for end in ends(name))
    return None if low is None or high is None else (low, high)


def figure_text(metrics: Mapping[str, float], name: str) -> str:
    """A figure with its interval, where it has one: `0.8180 (0.7840 to 0.8500)`; empty where there is no such figure."""
    if name not in metrics:
        return ""
    between = interval_of(metrics, name)
    return f"{metrics[name]:.4f}" + (f" ({between[0]:.4f} to {between[1]:.4f})" if between else "")


def names_of(metrics: Mapping[str, float]) -> list[str]:
    """The names of the figures, without their splits, in the order of the numbers in them: length_8 before length_16."""
    names = {name.partition("/")[2] for name in metrics if name.partition("/")[0] in SPLITS}
    return sorted(names, key=lambda name: [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)])
