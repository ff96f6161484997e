"""What lies beside an exported graph: whatever it takes to feed it and to read its answer."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from framework.export.program import Program
from framework.export.programs import exportable
from framework.runs.predictor import Predictor


def write_sides(loaded: Predictor, programs: Sequence[Program], folder: Path) -> None:
    """tokenizer.json; data_spec.json, the ids of special tokens among them; interface.json: inputs, outputs, and what the scores mean."""
    loaded.tokenizer.save(folder / "tokenizer.json")
    loaded.spec.save(folder / "data_spec.json")
    task = exportable(loaded)
    names = task.hf_config().get("id2label", {})
    interface: dict[str, Any] = {"hf_task": task.hf_task, "labels": [names[number] for number in sorted(names)], **task.postprocessing()}
    interface |= {program.name: program.interface() for program in programs}
    (folder / "interface.json").write_text(json.dumps(interface, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
