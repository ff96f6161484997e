"""Reads the small files of a run's folder, which somebody else may have made: every field is checked before it is used."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from framework.errors import UserError
from framework.utils.json_files import read_bytes, read_table
from framework.utils.typed import check_fields, fits, require, shown
from framework.utils.yaml_files import read_yaml

# run.json: the fields that every folder has, and those that come later
NOTES: dict[str, Any] = {"overrides": list[str], "chosen": dict[str, str], "versions": dict[str, str], "parts": dict[str, str]}
LATER: dict[str, Any] = {
    "settings": list[str],
    "data": dict[str, dict[str, int]],
    "remarks": list[str],
    "checksums": dict[str, int],
    "monitor": str,
    "signatures": dict[str, str],
    "cpu_seconds": float,
    "temperature": float,
    "parameters": int,
    "trained_parameters": int,
    "trained_tokens": int,
    "verdict": str,
    "hints": list[str],
    "state": str,
    "begin": str,
    "end": str | None,
    "error": str | None,
    "host": str,
    "commit": str | None,
    "created": str,
}


def saved_config(path: Path) -> dict[str, Any]:
    """The content of config.yaml. UserError: it is missing or damaged, or no config of a run."""
    config = read_yaml(path)
    nodes = [config.get(group) for group in ("task", "model")] if isinstance(config, dict) else [None]
    if not all(isinstance(node, dict) and "part" in node for node in nodes):
        raise UserError(f"{path} is not the config of a run: it has no task and model")
    _check_nodes(config, path)
    return config


def saved_notes(path: Path) -> dict[str, Any]:
    """The content of run.json. UserError: it is missing or damaged, or a field has another type."""
    read_bytes(path)
    notes = read_table(path)
    require(notes, NOTES, path)
    check_fields(notes, LATER, path)
    return notes


def saved_metrics(path: Path) -> dict[str, float]:
    """The content of metrics.json, NaN where it has null; empty if there is none. UserError: it is damaged, or a metric is no number."""
    metrics = {name: math.nan if value is None else value for name, value in read_table(path).items()}
    for name, value in metrics.items():
        if not isinstance(value, float) and not fits(value, float):
            raise UserError(f"{path}: {shown(name)} is {shown(value)} and must be a number")
    return metrics


def _check_nodes(node: Mapping[Any, Any], path: Path, place: str = "") -> None:
    """UserError: a key is no text, or a part no name of one."""
    for key, value in node.items():
        if not isinstance(key, str) or (key == "part" and not isinstance(value, str)):
            what = f"part: {shown(value)} is no KIND/NAME" if key == "part" else f"{shown(key)} is no name of an option"
            raise UserError(f"{path} is damaged: in {place or 'it'}, {what}")
        for number, inner in [("", value)] if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
            if isinstance(inner, dict):
                _check_nodes(inner, path, f"{place}.{key}.{number}".strip("."))
