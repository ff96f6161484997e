"""What W&B has written to its offline file, read with its own tool."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from wandb.util import get_core_path


def records(run: Path) -> list[dict[str, Any]]:
    """All records in the folder of a run, in the order of writing; each has its kind as a key."""
    (file,) = run.glob("wandb/offline-run-*/*.wandb")
    return records_of(file)


def records_of(file: Path) -> list[dict[str, Any]]:
    """All records of a file."""
    inspect = [get_core_path(), "leet", "inspect", "--json", "--run-file", str(file), str(file.parent)]
    done = subprocess.run(inspect, capture_output=True, text=True, timeout=120, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


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


def table(run: Path, name: str) -> list[dict[str, Any]]:
    """The rows of the newest table of a name."""
    own = re.compile(rf"{re.escape(name.rpartition('/')[2])}_(\d+)_[0-9a-f]{{20}}\.table\.json")
    found = run.glob(f"wandb/offline-run-*/files/media/table/{name}_*.table.json")
    files = sorted((path for path in found if own.fullmatch(path.name)), key=lambda path: int(own.fullmatch(path.name)[1]))  # type: ignore
    content = json.loads(files[-1].read_text())
    return [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]


def exit_codes(found: list[dict[str, Any]]) -> list[int]:
    return [record["exit_code"] for record in find(found, "exit")]
