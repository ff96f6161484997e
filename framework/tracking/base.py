"""What every tracker promises: Lightning's Logger, and two moments that Lightning does not tell of."""

from argparse import Namespace
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger

from framework.registry import build


class Tracker(Logger):
    """Keeps the figures of a run somewhere.

    An owner offers: folder (of the run), name (of the run), config (plain and explicit), chosen (group -> option).
    Whatever a tracker writes, it writes on rank zero (`rank_zero_only`).
    """

    @property
    def version(self) -> str:
        return ""

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: the config is on offer from the start."""

    def go_on_from(self, step: int) -> None:
        """A resumed run stands at this step: what was logged after it is going to be logged again."""

    def finish(self, exit_code: int) -> None:
        """The job is over, well (0) or not. Called once, whatever happened."""


def build_trackers(nodes: Mapping[str, Mapping[str, Any]], folder: Path, **offers: Any) -> list[Tracker]:
    """The trackers of a config."""
    return [build(node, folder=folder, **offers) for node in nodes.values()]


def finish(trackers: Iterable[Tracker], exit_code: int) -> None:
    """Ends all trackers; belongs into a `finally`."""
    for tracker in trackers:
        tracker.finish(exit_code)
