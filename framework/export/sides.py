"""What lies beside an exported graph: whatever it takes to feed it and to read its answer."""

import json
from collections.abc import Sequence
from pathlib import Path

from framework.export.program import Program
from framework.runs.predictor import Predictor


def write_sides(loaded: Predictor, programs: Sequence[Program], folder: Path) -> None:
    """tokenizer.json; data_spec.json, the ids of special tokens among them; interface.json: inputs, outputs, and what the scores mean."""
    loaded.tokenizer.save(folder / "tokenizer.json")
    loaded.spec.save(folder / "data_spec.json")
    task = loaded.task
    names = task.published().get("id2label", {})
    told = {"purpose": task.purpose, "labels": [names[number] for number in sorted(names)], **task.legend()}
    told |= {program.name: program.told() for program in programs}
    (folder / "interface.json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
