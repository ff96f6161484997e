"""Base class of trackers: a Lightning Logger with more events: facts, tables, pictures, files, resuming, and the end of the run."""

import csv
import importlib.util
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
    """Records what there is to know about a run. Every method but `log_metrics` does nothing where a tracker has no place for it.

    Its owner provides: folder (of the run), name (of the run), named (whether a user typed the name), config (plain and explicit), chosen
    (group -> option), sweep (name of the sweep that the run is a job of; None).
    A tracker writes on rank zero only (`rank_zero_only`).

    table_rows: most rows of each table of predictions that it wants; 0 = it has no tables.

    >>> class PrintTracker(Tracker):
    ...     name = "print"
    ...
    ...     def log_metrics(self, metrics, step=None):
    ...         print(step, metrics)
    >>> PrintTracker().log_metrics({"train/loss": 2.0}, step=10)
    10 {'train/loss': 2.0}
    """

    version = ""
    table_rows: int = 0

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Does nothing: a tracker has the config from its construction."""

    def check(self) -> None:
        """UserError: it cannot record, as far as that shows before any data is read. `folder` is none yet; nothing is written."""

    def go_on_from(self, step: int) -> None:
        """The run resumes after this step; later metrics that were logged before will be logged again."""

    def log_facts(self, facts: Mapping[str, Any]) -> None:
        """Keeps facts that are known before the training, and before the first metric: the command, the code, the data. facts: JSON-able,
        nested."""

    def log_table(self, name: str, rows: Sequence[Mapping[str, Any]], step: int) -> None:
        """Adds rows to a table, which grows from call to call. rows: column -> text, number, `Html` or None."""

    def log_images(self, images: Mapping[str, Path], step: int) -> None:
        """Keeps pictures. images: name -> PNG file."""

    def log_files(self, files: Sequence[Path]) -> None:
        """Keeps files of the run's folder. Files that have been kept before have changed."""

    def log_checkpoint(self, files: Mapping[str, Path], aliases: Sequence[str] = ()) -> None:
        """Keeps the best checkpoint, with all that opens it as a run. files: path in the folder of the run -> file."""

    def log_text(self, text: str) -> None:
        """Keeps a text beside what the run prints: why it failed."""

    def alert(self, outcome: str, text: str) -> None:
        """Tells people at once. outcome: finished, failed or diverged."""

    def finish(self, exit_code: int) -> None:
        """The run ended, successfully (0) or not. Called exactly once."""


def read_csv(path: Path) -> list[list[str]]:
    """The lines of a CSV file, its header first."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def needed(module: str, logger: str, extra: str) -> None:
    """UserError: the package of a tracker is not installed."""
    if importlib.util.find_spec(module) is None:
        raise UserError(f"logger={logger} needs the package {module}: python -m pip install 'plugformer[{extra}]'")


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
    """Ends all trackers when the block ends: with the exit code of the process, and before that with the text of what ended it early, and
    an alert unless that was a signal. An error may have an `outcome` for it."""
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
            if not isinstance(error, SystemExit | KeyboardInterrupt):
                tracker.alert(getattr(error, "outcome", "failed"), str(error) if expected else f"{type(error).__name__}: {error}")
        raise
    finally:
        for tracker in trackers:
            tracker.finish(exit_code)
