"""Tracking with Trackio: a local dashboard, or one in a Space of the Hugging Face Hub. Only this file imports trackio, when it is used."""

import contextlib
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from pytorch_lightning.utilities.rank_zero import rank_zero_only

from framework.registry import register
from framework.tracking.base import Tracker, needed, read_csv
from framework.utils.markup import Html


@register("tracker", "trackio", context=("sweep",))
class TrackioTracker(Tracker):
    """Logs config, metrics, tables and pictures to Trackio: `trackio show --project plugformer`. https://huggingface.co/docs/trackio

    Its database lies where Trackio keeps all runs, TRACKIO_DIR or the cache of the Hugging Face Hub. A run is called like its folder, those
    of a sweep have its name before theirs; a resumed run goes on under its name. What is logged: docs/tracking.md.

    project: project of the run.
    group: name that groups runs; null = the name of the sweep that the run is in.
    space: OWNER/NAME of a Space on the Hub that shows the run; null = on this machine.
    predictions: rows of predictions that each validation and the final evaluation show; 0 = none.
    alerts: which ends of the run are alerts: those that diverge or fail, all, or none.
    """

    name = "trackio"

    rules: ClassVar[dict[str, str]] = {
        "project != ''": "project must not be empty",
        "0 <= predictions <= 10_000": "predictions must be from 0, no tables, to 10,000 rows",
    }

    def __init__(
        self,
        folder: Path,
        config: Mapping[str, Any],
        chosen: Mapping[str, str],
        sweep: str | None = None,
        project: str = "plugformer",
        group: str | None = None,
        space: str | None = None,
        predictions: int = 20,
        alerts: Literal["none", "failures", "all"] = "failures",
    ):
        super().__init__()
        self.folder = Path(folder).resolve()
        self.title = f"{sweep}/{self.folder.name}" if sweep else self.folder.name
        self.config = {**config, "choice": dict(chosen)}
        self.project, self.group, self.space = project, group or sweep, space
        self.table_rows, self.alerts = predictions, alerts
        self._run: Any = None
        self._facts: dict[str, Any] = {}

    def check(self) -> None:
        """UserError: the package trackio is not installed."""
        needed("trackio", "trackio", "trackio")

    @property
    def run(self) -> Any:
        """The run, begun at the first metric."""
        if self._run is None:
            import trackio

            with _quiet():
                self._run = trackio.init(
                    self.project,
                    name=self.title,
                    group=self.group,
                    space_id=self.space,
                    config={**self.config, **({"facts": self._facts} if self._facts else {})},
                    resume="allow",
                    embed=False,
                    auto_log_cpu=False,
                )
        return self._run

    @rank_zero_only
    def log_facts(self, facts: Mapping[str, Any]) -> None:
        self._facts = dict(facts)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._log({name: value.item() if hasattr(value, "item") else value for name, value in metrics.items()}, step)

    @rank_zero_only
    def log_table(self, name: str, rows: Sequence[Mapping[str, Any]], step: int) -> None:
        columns = list(dict.fromkeys(key for row in rows for key, value in row.items() if not isinstance(value, Html)))
        if columns:
            self._table(name, columns, [[row.get(column) for column in columns] for row in rows], step)

    def _table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int | None = None) -> None:
        import trackio

        self._log({name: trackio.Table(columns=list(columns), data=[list(row) for row in rows])}, step)

    @rank_zero_only
    def log_images(self, images: Mapping[str, Path], step: int) -> None:
        import trackio

        self._log({name: trackio.Image(str(path)) for name, path in images.items()}, step)

    @rank_zero_only
    def log_files(self, files: Sequence[Path]) -> None:
        """Shows tables among the files; the others lie in the folder of the run."""
        for path in files:
            if path.suffix == ".csv":
                self._table(path.stem, *_head_and_rest(path))

    @rank_zero_only
    def alert(self, outcome: str, text: str) -> None:
        import trackio

        if self.alerts == "all" or (self.alerts == "failures" and outcome != "finished"):
            level = trackio.AlertLevel.INFO if outcome == "finished" else trackio.AlertLevel.ERROR
            with _quiet():
                self.run.alert(f"{self.title} {outcome}", text, level=level)

    @rank_zero_only
    def finish(self, exit_code: int) -> None:
        if self._run is not None:
            from trackio import context_vars

            self._log({"exit_code": exit_code})
            with _quiet():
                self._run.finish()
            context_vars.current_run.set(None)  # which would be finished again at the end of the process
            self._run = None

    def _log(self, values: Mapping[str, Any], step: int | None = None) -> None:
        if values:
            with _quiet():
                self.run.log(dict(values), step=step)


def _head_and_rest(path: Path) -> tuple[list[str], list[list[str]]]:
    header, *rows = read_csv(path)
    return header, rows


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Sends warnings that Trackio prints to standard error, and drops the rest of its output."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        yield
    for line in said.getvalue().splitlines():
        if "warn" in line.lower() and "TRACKIO WARN" not in line:
            print(line, file=sys.stderr)
