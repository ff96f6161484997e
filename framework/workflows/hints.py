"""Hints for a run that is not better than its baseline: options to try, in order, from facts of its data and its training."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from framework.tasks.base import Task

MOST = 4  # hints
CUT, UNKNOWN = 0.05, 0.02  # shares of cut rows and of unknown tokens from which on they matter
FEW = 20_000  # training rows
EARLY = 0.6  # share of the training after which the best checkpoint was kept


def hints(config: Mapping[str, Any], sizes: Mapping[str, int], task: Task, best: float | None, from_rows: bool) -> list[str]:
    """`KEY=VALUE: why`, the most promising first, at most MOST.

    sizes: of the training rows. best: share of the training after which the best checkpoint was kept. from_rows: whether the number of
    epochs was chosen from the rows, so that `effort` scales it.
    """
    return list(islice(_all(config, sizes, task, best, from_rows), MOST))


def _all(config: Mapping[str, Any], sizes: Mapping[str, int], task: Task, best: float | None, from_rows: bool) -> Iterator[str]:
    length, rows = config["model"]["max_length"], max(1, sizes["rows"])
    if (cut := sizes["truncated"] / rows) > CUT:
        yield f"model.max_length={2 * length}: {cut:.0%} of the training rows are cut at {length} tokens"
    if (unknown := sizes["unknown"] / max(1, sizes["tokens"])) > UNKNOWN:
        yield f"tokenizer=bpe: {unknown:.0%} of the training tokens are unknown to this tokenizer"
    pretrained, trainer = config["model"].get("pretrained"), config["trainer"]
    if best is not None and best > 0.95:
        longer = next(((key, trainer[key]) for key in ("max_epochs", "max_steps") if (trainer.get(key) or 0) > 0), None)
        why = f"{task.monitor} was still improving when training ended"
        if from_rows and config.get("effort") in ("small", "standard"):
            yield f"effort=large: {why}"
        elif longer:
            yield f"trainer.{longer[0]}={2 * longer[1]}: {why}"
    yield from task.hints(config)
    if not pretrained and rows < FEW:
        yield f"model.pretrained=DIR: {rows:,} training rows are few to learn words from; a published model knows them"
    if best is not None and best < EARLY:
        why = f"{task.monitor} was best after {best:.0%} of the training, then the rows were learned by heart"
        dropout = config["model"].get("dropout")
        rate = config["optimizer"].get("lr")
        if pretrained and rate:
            yield f"optimizer.lr={rate / 2:g}: {why}"
        elif dropout is not None and dropout < 0.4:
            yield f"model.dropout={dropout + 0.2:g}: {why}"
