"""Evaluation of a split: metrics that count each row once on any number of ranks, and the predictions of all rows."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

import torch
import torch.distributed as dist
from torch import Tensor
from torchmetrics import Metric

from framework.data.formats import Batch
from framework.tasks.base import Task
from framework.utils.files import write_text
from framework.utils.json_text import to_json
from framework.utils.recording import nothing_recorded


class MeanLoss(Metric):
    """Sum of losses / sum of weights, in float64, so that the error does not grow with the number of batches."""

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


def on_device(metric: Metric, device: torch.device) -> Metric:
    """The metric on a device, with the dtype that `set_dtype` gave it.

    torchmetrics resets that to float32 in `to`. It is the dtype of the empty tensor that a rank without values of a list state takes part
    with, so another one than that of the values ends in a crash.
    """
    dtype, metric = metric.dtype, metric.to(device)
    metric._dtype = dtype  # `set_dtype` would convert counts too
    return metric


class Evaluation:
    """One pass over a split, with fresh metrics.

    decode: generator of the task, None if it generates no text. keep: also keep the rows, for predictions.jsonl. sample: number of rows
    with a prediction to keep for a table, the same ones in each pass over a split.
    """

    def __init__(self, task: Task, decode: Any, device: torch.device, keep: bool, sample: int = 0):
        metric_device = device if device.type == "cuda" else torch.device("cpu")  # has float64, and ranks can sync there
        self.task, self.decode, self.keep, self.metric_device = task, decode, keep, metric_device
        self.losses = {"loss": MeanLoss().to(metric_device)}  # and the auxiliary losses of the task
        self.metrics: dict[str, Metric] = {name: on_device(metric, metric_device) for name, metric in task.metrics().items()}
        self.rows: list[tuple[int, dict[str, Any]]] = []
        self.reports: dict[str, str] = {}  # of the task, once they are written
        self.sample, self._sampled = sample, list[tuple[int, dict[str, Any]]]()

    def update(self, batch: Batch) -> None:
        """Evaluate a batch. A dummy batch, which keeps the ranks in step, is computed and not counted."""
        with nothing_recorded():
            result, rows = self.task.evaluate(batch, self.decode)
        if batch["@rows"].dummy:
            return
        for name, (loss, weight) in {**result.losses, "loss": (result.loss, result.weight)}.items():
            self.losses.setdefault(name, MeanLoss().to(self.metric_device)).update(
                *(value.to(self.metric_device) for value in (loss, weight))
            )
        if rows:
            self.task.update(self.metrics, rows)
        if rows and (self.keep or self.sample):
            numbers: list[int] = batch["@rows"].numbers
            if len(numbers) != len(rows):  # `evaluate` returned the decoded rows alone
                numbers = [numbers[position] for position in self.decode.wanted(numbers)]
            numbered = list(zip(numbers, rows, strict=True))
            self.rows += numbered if self.keep else ()
            shown = [pair for pair in numbered if self.sample and "prediction" in pair[1]]
            self._sampled = sorted([*self._sampled, *shown], key=_drawn)[: self.sample]

    def compute(self) -> dict[str, float]:
        """Loss and metrics over all ranks. A collective call: all ranks must make it."""
        values: dict[str, float] = {}
        losses = {name: self.losses.get(name, MeanLoss().to(self.metric_device)) for name in _of_all_ranks(self.losses)}
        for name, metric in {**losses, **self.metrics}.items():
            computed = metric.compute()
            values |= {key: float(value) for key, value in (computed if isinstance(computed, Mapping) else {name: computed}).items()}
        return values

    def sampled(self) -> list[dict[str, Any]]:
        """Some of this rank's rows with their numbers, in the order of the split."""
        return [{"row": number, **row} for number, row in sorted(self._sampled, key=lambda pair: pair[0])]

    def write(self, path: Path) -> list[dict[str, Any]]:
        """Write every row once, in the order of the split, as JSON lines, and the task's reports beside them. A collective call: all ranks
        must make it; rank zero writes, and gets the rows with their numbers."""
        ranks = gathered(self.rows)
        if ranks is None:
            return []
        numbered = sorted((pair for rank in ranks for pair in rank), key=lambda pair: pair[0])
        assert len(dict(numbered)) == len(numbered), "a row was evaluated on two ranks"
        rows = [{"row": number, **row} for number, row in numbered]
        write_text(path, "".join(f"{to_json(row)}\n" for row in rows))
        self.reports = self.task.report(rows)
        for name, text in self.reports.items():
            write_text(path.with_name(name), text)
        return rows


def _drawn(pair: tuple[int, dict[str, Any]]) -> int:
    """The place of a row in an order that no data has."""
    return crc32(str(pair[0]).encode())


def _of_all_ranks(names: Iterable[str]) -> list[str]:
    """The names that any rank has, in the same order on all of them."""
    ranks: list[list[str]] = [list(names)]
    if dist.is_available() and dist.is_initialized():
        ranks = [[] for _ in range(dist.get_world_size())]
        dist.all_gather_object(ranks, list(names))
    return sorted({name for rank in ranks for name in rank})


def gathered(rows: list[Any]) -> list[list[Any]] | None:
    """The rows of each rank on rank zero; None on the other ranks."""
    if not (dist.is_available() and dist.is_initialized()):
        return [rows]
    ranks: list[Any] | None = [None] * dist.get_world_size() if dist.get_rank() == 0 else None
    dist.gather_object(rows, ranks)
    return ranks
