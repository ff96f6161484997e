"""Base class of trackers: a Lightning Logger with two more events, resuming and the end of the run."""

from argparse import Namespace
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger

from framework.registry import build


class Tracker(Logger):
    """Records the metrics of a run.

    Its owner provides: folder (of the run), name (of the run), config (plain and explicit), chosen (group -> option).
    A tracker writes on rank zero only (`rank_zero_only`).

    >>> class PrintTracker(Tracker):
    ...     name = "print"
    ...
    ...     def log_metrics(self, metrics, step=None):
    ...         print(step, metrics)
    >>> PrintTracker().log_metrics({"train/loss": 2.0}, step=10)
    10 {'train/loss': 2.0}
    """

    version = ""

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Does nothing: a tracker has the config from its construction."""

    def go_on_from(self, step: int) -> None:
        """The run resumes after this step; later metrics that were logged before will be logged again."""

    def finish(self, exit_code: int) -> None:
        """The run ended, successfully (0) or not. Called exactly once."""


def build_trackers(nodes: Mapping[str, Mapping[str, Any]], folder: Path, **context: Any) -> list[Tracker]:
    """The trackers of a config."""
    return [build(node, folder=folder, **context) for node in nodes.values()]


def finish(trackers: Iterable[Tracker], exit_code: int) -> None:
    """Ends all trackers; call it in a `finally` block."""
    for tracker in trackers:
        tracker.finish(exit_code)
