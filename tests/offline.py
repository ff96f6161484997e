"""What W&B has written to its offline file, read with its own tool."""

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

from wandb.util import get_core_path

TRIES = 30  # seconds until a file has a record


def records(run: Path) -> list[dict[str, Any]]:
    """All records in the folder of a run, in the order of writing; each has its kind as a key."""
    (file,) = run.glob("wandb/offline-run-*/*.wandb")
    return records_of(file)


def records_of(file: Path) -> list[dict[str, Any]]:
    """All records of a file. On a busy machine W&B's own process may still be writing it when a run has finished."""
    inspect = [get_core_path(), "leet", "inspect", "--json", "--run-file", str(file), str(file.parent)]
    found: list[dict[str, Any]] = []
    for _ in range(TRIES):
        done = subprocess.run(inspect, capture_output=True, text=True, timeout=120, check=True)
        found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        if found:
            break
        time.sleep(1)
    return found


def find(found: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """The records of a kind."""
    return [record[kind] for record in found if kind in record]


def items(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of the history."""
    return [entry["item"] for entry in find(found, "history")]


def config_of(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The config, as it is in the end."""
    (run, *_), later = find(found, "run"), find(found, "config")
    config: dict[str, Any] = dict(run["config"]["update"])
    for each in later:
        config |= each["update"]
    return config


def summary_of(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The summary, as it is in the end."""
    return {key: value for record in find(found, "summary") for key, value in record.get("update", {}).items()}


def table(found: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """The rows of a table, in the order of logging: its artifacts have what was added to it."""
    rows: list[dict[str, Any]] = []
    for artifact in find(found, "artifact"):
        for entry in artifact["manifest"]["contents"]:
            if re.fullmatch(rf"(.*\.)?{re.escape(name)}\.table\.json", entry["path"]):
                content = json.loads(Path(entry["local_path"]).read_text())
                rows += [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]
    return rows


def exit_codes(found: list[dict[str, Any]]) -> list[int]:
    return [record["exit_code"] for record in find(found, "exit")]
