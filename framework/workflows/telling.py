"""Content for the trackers of a run: facts before the training, and figures, tables, files and the checkpoint after it."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from framework.config.quoting import unquoted
from framework.data.module import Prepared
from framework.runs.folder import Run
from framework.runs.provenance import code_difference
from framework.runs.summary import parameter_counts
from framework.tasks.base import Task
from framework.tracking.base import Tracker

DIFFERENCE = "code.diff"  # in the folder of the run: the working tree against the commit in run.json


def facts_of(run: Run, prepared: Prepared, task: Task, pretrained: str | None) -> dict[str, Any]:
    """Facts of a run that are known before the training. pretrained: `model.pretrained`."""
    notes = run.notes()
    data = {split: {**size, "fingerprint": prepared.encoded[split].fingerprint} for split, size in prepared.sizes.items()}
    return {
        "command": f"python train.py {shlex.join(notes['overrides'])}",
        "folder": str(run.folder),
        "host": notes.get("host"),
        "commit": notes.get("commit"),
        "versions": notes.get("versions", {}),
        "settings": notes.get("settings", []),
        "remarks": notes.get("remarks", []),
        "data": data,
        "vocabulary": prepared.spec.vocab_size,
        "monitor": task.monitor,
        "mode": task.mode,
        **parameter_counts(task),
        **({"begins_from": origin(pretrained)} if pretrained else {}),
    }


def origin(pretrained: str) -> dict[str, str]:
    """The model that a run begins from, with the W&B id of its run where that is known."""
    path = Path(unquoted(pretrained)).expanduser()
    kept = path / "wandb_id.txt"
    return {"name": pretrained, **({"wandb_id": kept.read_text(encoding="utf-8").split()[0]} if kept.is_file() else {})}


def tell_start(trackers: Sequence[Tracker], run: Run, prepared: Prepared, task: Task, pretrained: str | None) -> None:
    """Facts, and the difference of the code from its commit, which is written into the folder of the run."""
    if not trackers:
        return
    if difference := code_difference():
        (run.folder / DIFFERENCE).write_text(difference, encoding="utf-8")
    facts = facts_of(run, prepared, task, pretrained)
    for tracker in trackers:
        tracker.log_facts(facts)


def tell_end(
    trackers: Sequence[Tracker],
    run: Run,
    task: Task,
    rows: Sequence[dict[str, Any]],
    metrics: Mapping[str, float],
    step: int,
    reports: Sequence[str],
    summary: str,
) -> None:
    """Final figures, a table of predictions, reports, pictures and files, and the best checkpoint.

    rows: of predictions.jsonl. reports: names of the files of `Task.report`. summary: one or two lines for an alert."""
    if not trackers:
        return
    shown = [row for row in rows if "prediction" in row][: max(tracker.table_rows for tracker in trackers)]
    table = task.table(shown) if shown else []
    files = [path for name in (*reports, "report.html", "metrics.json", DIFFERENCE) if (path := run.folder / name).is_file()]
    images = {path.stem: path for path in sorted(run.folder.glob("pictures/*.png"))}  # of report=true
    kept = {
        str(path.relative_to(run.folder)): path
        for path in (run.folder / "config.yaml", run.folder / "run.json", run.tokenizer, run.spec, run.metrics, run.best)
        if path.is_file()
    }
    for tracker in trackers:
        tracker.log_metrics({f"final/{name}": value for name, value in metrics.items()}, step=step)
        if table[: tracker.table_rows]:
            tracker.log_table("final_predictions", table[: tracker.table_rows], step)
        if images:
            tracker.log_images(images, step)
        tracker.log_files(files)
        if run.best in kept.values():
            tracker.log_checkpoint(kept)
        tracker.alert("finished", summary)
