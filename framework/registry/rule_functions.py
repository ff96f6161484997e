"""The functions that a rule may call, beside a few of Python's own."""

import re
import sys
from collections.abc import Mapping
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# Device files of GPUs on Linux: NVIDIA's drivers (of servers, of Jetson), AMD's, and that of the Windows subsystem.
_DEVICE_FILES = ("nvidia*", "nvhost*", "nvmap", "nvgpu*", "kfd", "dxg")


def installed(*modules: str) -> bool:
    """Whether all these modules can be imported."""
    return all(find_spec(module) is not None for module in modules)


def each(value: Any) -> list[Any]:
    """The values of an option that takes one or a list of them, without null.

    >>> each(3), each([3, None]), each(None)
    ([3], [3], [])
    """
    return [item for item in (value if isinstance(value, (list, tuple)) else [value]) if item is not None]


def count_or_share(value: Any) -> bool:
    """Whether a value is a number of things, 0 or more, or a share of them: 1 is one thing, and 1.0 all.

    >>> [count_or_share(value) for value in (0, 3, 0.5, 1.0, 1.5, 2.0, -1)]
    [True, True, True, True, False, False, False]
    """
    return 0 <= value <= 1 if isinstance(value, float) else isinstance(value, int) and value >= 0


def seconds(duration: Any) -> float:
    """The seconds of `DD:HH:MM:SS`, or of a mapping of units of `datetime.timedelta`; nan if it is neither.

    >>> seconds("01:00:00:10"), seconds({"hours": 2}), seconds("soon")
    (86410.0, 7200.0, nan)
    """
    if isinstance(duration, str) and (match := re.fullmatch(r"(\d+):(\d\d):(\d\d):(\d\d)", duration.strip())):
        days, hours, minutes, rest = map(int, match.groups())
        duration = {"days": days, "hours": hours, "minutes": minutes, "seconds": rest}
    if isinstance(duration, Mapping):
        try:
            return timedelta(**duration).total_seconds()
        except (TypeError, OverflowError):
            pass
    return float("nan")


def device_possible(accelerator: str) -> bool:
    """Whether this machine may have such a device: `gpu`, `cuda`, `mps`, or anything else. Told from the system alone, without torch,
    so a driver that does not work is not noticed."""
    apple = sys.platform == "darwin"
    if accelerator == "mps" or (accelerator == "gpu" and apple):
        return apple
    if accelerator not in ("gpu", "cuda") or not sys.platform.startswith("linux"):
        return not (accelerator == "cuda" and apple)
    return any(any(Path("/dev").glob(pattern)) for pattern in _DEVICE_FILES)


FUNCTIONS = {
    **{function.__name__: function for function in (all, any, len, max, min)},
    **{function.__name__: function for function in (installed, each, count_or_share, seconds, device_possible)},
}
