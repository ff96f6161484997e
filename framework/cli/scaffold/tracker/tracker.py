"""A tracker that writes lines of JSON."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.utilities.rank_zero import rank_zero_only

from framework import Tracker, register


@register("tracker")
class SpecimenTracker(Tracker):
    """Writes metrics.jsonl in the folder of the run: the step and the metrics of each call, a line each.

    digits: significant digits of a metric.
    """

    name = "specimen"

    def __init__(self, folder: Path, digits: int = 9):
        super().__init__()
        self.path, self.digits = Path(folder) / "metrics.jsonl", digits

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        values = {name: float(f"{float(value):.{self.digits}g}") for name, value in metrics.items()}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")

    @rank_zero_only
    def go_on_from(self, step: int) -> None:
        """The run resumes after a step: what was recorded later is recorded again."""
        if self.path.exists():
            lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
            self.path.write_text("".join(line for line in lines if (json.loads(line)["step"] or 0) <= step), encoding="utf-8")
