"""Contract tests of the tracker specimen."""

import json

from framework.testing import TrackerPromises


class TestSpecimenTracker(TrackerPromises):
    part = "tracker/specimen"

    def records(self, folder):
        """(step, metric, value) of everything that was recorded, in order."""
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        return [(row["step"], name, value) for row in rows for name, value in row.items() if name != "step"]
