"""Metrics as a CSV file in the folder of the run."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.utilities.rank_zero import rank_zero_only

from framework.errors import UserError
from framework.registry import register
from framework.tracking.base import Tracker
from framework.utils.files import write_text


@register("tracker", "csv")
class CsvTracker(Tracker):
    """Writes `metrics.csv` in the folder of the run: one row for each call of the logger, one column for each metric."""

    name = "csv"

    def __init__(self, folder: Path):
        super().__init__()
        self.path = Path(folder) / "metrics.csv"
        self.columns: list[str] | None = None  # None: the file has not been read yet

    @property
    def save_dir(self) -> str:
        return str(self.path.parent)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        row = {"step": step, **{name: _number(value) for name, value in metrics.items()}}
        self.columns = self._rows()[0] if self.columns is None else self.columns
        if new := [name for name in row if name not in self.columns]:
            rows = self._rows()[1]
            self.columns += new
            self._rewrite(rows)
        with open(self.path, "a", encoding="utf-8", newline="") as file:
            csv.DictWriter(file, self.columns).writerow(row)

    @rank_zero_only
    def go_on_from(self, step: int) -> None:
        self.columns, rows = self._rows()
        try:
            earlier = [row for row in rows if int(row.get("step") or 0) <= step]
        except ValueError as error:
            raise UserError(f"{self.path} is damaged: {error}; remove it, and the run goes on without its earlier figures") from None
        if len(earlier) < len(rows):
            self._rewrite(earlier)

    def _rows(self) -> tuple[list[str], list[dict[str, str]]]:
        """Columns and rows of the file, empty before the file exists. An incomplete last line is left out."""
        if not self.path.exists():
            return [], []
        with open(self.path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = [row for row in reader if None not in row.values() and None not in row]
            return list(reader.fieldnames or ()), rows

    def _rewrite(self, rows: list[dict[str, str]]) -> None:
        assert self.columns is not None
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self.columns)
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.path, text.getvalue())


def _number(value: Any) -> Any:
    """A metric as a number; floats are written with the nine digits that identify a float32."""
    value = value.item() if hasattr(value, "item") else value
    return f"{value:.9g}" if isinstance(value, float) else value
