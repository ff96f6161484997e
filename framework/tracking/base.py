"""Base class of trackers: a Lightning Logger with more events: resuming, a text, and the end of the run."""

import traceback
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger

from framework.errors import UserError
from framework.registry import as_part, build


class Tracker(Logger):
    """Records the metrics of a run.

    Its owner provides: folder (of the run), name (of the run), named (whether a user typed the name), config (plain and explicit), chosen
    (group -> option).
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

    def check(self) -> None:
        """UserError: it cannot record, as far as that shows before any data is read. `folder` is none yet; nothing is written."""

    def go_on_from(self, step: int) -> None:
        """The run resumes after this step; later metrics that were logged before will be logged again."""

    def log_text(self, text: str) -> None:
        """Keeps a text beside what the run prints: why it failed."""

    def finish(self, exit_code: int) -> None:
        """The run ended, successfully (0) or not. Called exactly once."""


def check_trackers(nodes: Mapping[str, Mapping[str, Any]], **context: Any) -> None:
    """UserError: a tracker of a config cannot record."""
    for node in nodes.values():
        if as_part(node).cls.check is not Tracker.check:
            build(node, folder=Path(), **context).check()


def build_trackers(nodes: Mapping[str, Mapping[str, Any]], folder: Path, **context: Any) -> list[Tracker]:
    """The trackers of a config."""
    return [build(node, folder=folder, **context) for node in nodes.values()]


@contextmanager
def finished(trackers: Sequence[Tracker]) -> Iterator[None]:
    """Ends all trackers when the block ends: with the exit code of the process, and before that with the text of what ended it early."""
    exit_code = 0
    try:
        yield
    except BaseException as error:
        exit_code = 130 if isinstance(error, KeyboardInterrupt) else 2 if isinstance(error, UserError) else 1
        if isinstance(error, SystemExit) and isinstance(error.code, int):
            exit_code = error.code
        expected = isinstance(error, UserError | SystemExit | KeyboardInterrupt)
        for tracker in trackers:
            tracker.log_text(str(error) if expected else traceback.format_exc())
        raise
    finally:
        for tracker in trackers:
            tracker.finish(exit_code)
