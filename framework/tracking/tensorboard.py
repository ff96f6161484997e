"""Tracking with TensorBoard: files of events in the folder of the run."""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pytorch_lightning.utilities.rank_zero import rank_zero_only

from framework.registry import register
from framework.tracking.base import Tracker, needed, read_csv
from framework.utils.json_text import to_json
from framework.utils.markup import Html

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


@register("tracker", "tensorboard")
class TensorboardTracker(Tracker):
    """Logs metrics, tables (as text) and pictures to `tensorboard/` in the folder of the run: `tensorboard --logdir runs` shows all runs.

    A resumed run hides what was logged after the step that it goes on from. What is logged: docs/tracking.md.

    predictions: rows of predictions that each validation and the final evaluation show; 0 = none.
    """

    name = "tensorboard"

    rules: ClassVar[dict[str, str]] = {"0 <= predictions <= 10_000": "predictions must be from 0, no tables, to 10,000 rows"}

    def __init__(self, folder: Path, config: Mapping[str, Any], chosen: Mapping[str, str], predictions: int = 20):
        super().__init__()
        self.folder, self.table_rows = Path(folder) / "tensorboard", predictions
        self.config = {**config, "choice": dict(chosen)}
        self._writer: SummaryWriter | None = None
        self._purged: int | None = None  # the first step that is hidden

    @property
    def save_dir(self) -> str:
        return str(self.folder)

    def check(self) -> None:
        """UserError: the package tensorboard is not installed."""
        needed("tensorboard", "tensorboard", "tensorboard")

    @property
    def writer(self) -> "SummaryWriter":
        """The writer, made at the first event."""
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self.folder), purge_step=self._purged)
            if self._purged is None:
                self._writer.add_text("config", _code(to_json(self.config, indent=1)))
        return self._writer

    @rank_zero_only
    def go_on_from(self, step: int) -> None:
        self._purged = step + 1 if step else None

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        for name, value in metrics.items():
            self.writer.add_scalar(name, value, step)

    @rank_zero_only
    def log_facts(self, facts: Mapping[str, Any]) -> None:
        self.writer.add_text("facts", _code(to_json(facts, indent=1)))

    @rank_zero_only
    def log_table(self, name: str, rows: Sequence[Mapping[str, Any]], step: int) -> None:
        columns = [
            column
            for column in dict.fromkeys(key for row in rows for key in row)
            if not any(isinstance(row.get(column), Html) for row in rows)
        ]
        if columns:
            self.writer.add_text(name, _markdown(columns, [[row.get(column) for column in columns] for row in rows]), step)

    @rank_zero_only
    def log_images(self, images: Mapping[str, Path], step: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        for name, path in images.items():
            png = path.read_bytes()
            width, height = struct.unpack(">II", png[16:24])  # of the header
            image = Summary.Image(encoded_image_string=png, width=width, height=height, colorspace=4)
            self.writer._get_file_writer().add_summary(Summary(value=[Summary.Value(tag=name, image=image)]), step)

    @rank_zero_only
    def log_files(self, files: Sequence[Path]) -> None:
        """Shows tables among the files; the others lie beside."""
        for path in files:
            if path.suffix == ".csv":
                header, *rows = read_csv(path)
                self.writer.add_text(path.stem, _markdown(header, rows))

    @rank_zero_only
    def log_text(self, text: str) -> None:
        if text:
            self.writer.add_text("end", _code(text))

    @rank_zero_only
    def finish(self, exit_code: int) -> None:
        if self._writer is not None:
            self._writer.add_scalar("exit_code", exit_code)
            self._writer.close()
            self._writer = None


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(_cell(value) for value in line)} |" for line in lines)


def _cell(value: Any) -> str:
    text = "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", "<br>")


def _code(text: str) -> str:
    """A text that Markdown leaves as it is."""
    return "\n".join(f"    {line}" for line in text.splitlines())
