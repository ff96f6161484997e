"""One pass over the rows of a split: figures that count each row once, whatever the number of ranks, and the rows themselves."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torchmetrics import Metric

from framework.data.formats import Batch
from framework.tasks.base import Task
from framework.utils.files import write_text


class MeanLoss(Metric):
    """Sum of losses over sum of weights, in float64: 10,000 batches add up as exactly as ten."""

    full_state_update = False
    loss: Tensor
    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.set_dtype(torch.float64)
        self.add_state("loss", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("weight", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, loss: Tensor, weight: Tensor) -> None:
        self.loss += loss.double()
        self.weight += weight.double()

    def compute(self) -> Tensor:
        return self.loss / self.weight


class Evaluation:
    """A pass over one split. Its metrics are fresh: nothing of an earlier pass is in them.

    decode: None for a task that never writes. keep: also keeps the rows, for predictions.jsonl.
    """

    def __init__(self, task: Task, decode: Any, device: torch.device, keep: bool):
        home = device if device.type == "cuda" else torch.device("cpu")  # where ranks can sync; and float64 exists
        self.task, self.decode, self.keep, self.home = task, decode, keep, home
        self.loss = MeanLoss().to(home)
        self.metrics: dict[str, Metric] = {name: metric.to(home) for name, metric in task.metrics().items()}
        self.rows: list[tuple[int, dict[str, Any]]] = []

    def add(self, batch: Batch) -> None:
        """Evaluates a batch. A ghost (a stand-in row that keeps the ranks in step) is computed and not counted."""
        result, rows = self.task.evaluate(batch, self.decode)
        if batch.get("dummy"):
            return
        self.loss.update(result.loss.to(self.home), result.weight.to(self.home))
        if rows:
            self.task.update(self.metrics, rows)
        if self.keep:
            self.rows += zip(self._numbers(batch, len(rows)), rows, strict=True)

    def _numbers(self, batch: Batch, count: int) -> list[int]:
        """The row numbers that `evaluate` gave `count` rows for: all, or those that are decoded."""
        numbers = batch["row"]
        return (numbers if len(numbers) == count else numbers[self.decode.wanted(numbers)]).tolist()

    def figures(self) -> dict[str, float]:
        """Loss and the task's metrics over all ranks; every rank must ask."""
        figures: dict[str, float] = {}
        for name, metric in {"loss": self.loss, **self.metrics}.items():
            found = metric.compute()
            figures |= {key: float(value) for key, value in (found if isinstance(found, Mapping) else {name: found}).items()}
        return figures

    def write(self, path: Path) -> None:
        """Every row once, in the order of the split, as JSON lines, and beside them what the task reports of them; rank zero
        writes and every rank must call."""
        ranks = gathered(self.rows)
        if ranks is None:
            return
        rows = _in_order(ranks)
        write_text(path, "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))
        for name, text in self.task.report(rows).items():
            write_text(path.with_name(name), text)


def gathered(rows: list[Any]) -> list[list[Any]] | None:
    """What each rank holds, on rank zero; None on the others."""
    if not (dist.is_available() and dist.is_initialized()):
        return [rows]
    ranks: list[Any] | None = [None] * dist.get_world_size() if dist.get_rank() == 0 else None
    dist.gather_object(rows, ranks)
    return ranks


def _in_order(ranks: list[list[tuple[int, dict[str, Any]]]]) -> list[dict[str, Any]]:
    numbered = sorted((pair for rank in ranks for pair in rank), key=lambda pair: pair[0])
    numbers = [number for number, _ in numbered]
    assert len(set(numbers)) == len(numbers), "a row was evaluated on two ranks"
    return [{"row": number, **row} for number, row in numbered]
