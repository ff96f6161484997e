"""Checks that a task suits its format and its trainer, from what their classes declare."""

from collections.abc import Iterator, Mapping
from typing import Any

from framework.config.catalogue import Catalogue


def task_mistakes(config: Mapping[str, Any], catalogue: Catalogue) -> Iterator[tuple[str, str, str, bool]]:
    """Path, part, reason, and whether other parts resolve it."""
    task = config.get("task")
    if not isinstance(task, Mapping) or "part" not in task:
        return
    declared = catalogue.option(task["part"])["declarations"]
    if isinstance(format := task.get("format"), Mapping):
        made = catalogue.option(format["part"])["declarations"].get("makes") or ()
        if missing := [name for name in declared.get("reads", ()) if name not in made]:
            makes = f"makes {', '.join(made)}" if made else "does not say what it makes (`makes = (...)` in its class)"
            yield "task.format", format["part"], f"{task['part']} reads {', '.join(missing)} of a batch, and this format {makes}", True
    trainer = config.get("trainer") or {}
    micro_batches = trainer.get("accumulate_grad_batches") or 1
    if micro_batches > 1 and declared.get("loss_over", "rows") != "rows":
        batches = config["data"]["batches"]
        larger = [f"data.batches.{name}={batches[name] * micro_batches}" for name in ("rows", "budget") if batches.get(name)]
        reason = (
            f"{task['part']} compares the rows of a batch with each other, and a micro-batch has fewer of them: set "
            f"{' '.join(['trainer.accumulate_grad_batches=1', *larger[:1]])} (activation_checkpointing=true of the stack saves memory, "
            "and so does `in_chunks` in a task of your own)"
        )
        yield "trainer.accumulate_grad_batches", f"trainer/{micro_batches}", reason, False
