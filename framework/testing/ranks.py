"""Two processes that share the rows of a task, against one that has them all."""

import multiprocessing
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from framework.data.batches import shard
from framework.tasks.base import Task
from framework.testing.promise import BrokenPromise, Inapplicable
from framework.testing.toy_task import ToyTask
from framework.training.evaluation import Evaluation

SECONDS = 60
Found = tuple[dict[str, Tensor], dict[str, float]]  # gradients by parameter, figures by name


def in_two_processes(toy: ToyTask) -> tuple[Found, Found]:
    """What one process finds, and what two find together. BrokenPromise: one of the two fails or waits for ever.

    The ranks are forked: they have what this process has imported, and a task from a test file need not be importable.
    """
    if sys.platform != "linux":
        raise Inapplicable("ranks are forked, which is safe on Linux alone")
    # A copy of a process inherits the locks that its other threads held, and may wait for one that nobody opens: no fault of the task's.
    found = _answers(toy) or _answers(toy)
    failed = [answer for answer in found if isinstance(answer, str)]
    if failed or len(found) < 2:
        raise BrokenPromise(f"runs in two processes: {failed[0] if failed else 'one of them never ended, or was killed'}")
    return _found(toy, 0, 1), found[0]


def _answers(toy: ToyTask) -> list[Any]:
    """What the ranks say: of each that ends what it found, or how it failed."""
    fork = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        answers: list[Path] = [Path(folder) / str(rank) for rank in range(2)]
        ranks = [fork.Process(target=_rank, args=(toy, rank, folder, answers[rank]), daemon=True) for rank in range(2)]
        for process in ranks:
            process.start()
        for process in ranks:
            process.join(SECONDS)
        for process in ranks:
            if process.is_alive():
                process.kill()
                process.join()
        return [torch.load(path, weights_only=False) for path in answers if path.exists()]


def _rank(toy: ToyTask, rank: int, folder: str, answer: Path) -> None:
    torch.set_num_threads(1)  # the pool of the process this one is a copy of has no threads here
    try:
        dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
        found: Any = _found(toy, rank, 2)
    except Exception as error:  # it is another process's to tell
        found = f"{type(error).__name__}: {error}"
    torch.save(found, answer)
    with suppress(ValueError, RuntimeError):
        dist.destroy_process_group()


def _found(toy: ToyTask, rank: int, world_size: int) -> Found:
    """Gradients of a global batch, and figures over all rows."""
    task = toy.task()
    batch = toy.batch(shard(list(range(toy.count)), rank, world_size)[0])
    module = DistributedDataParallel(task) if world_size > 1 else task  # has a name: what nobody holds on to does not reduce
    result = module(batch)
    weight = result.weight.detach().double()
    if world_size > 1:
        dist.all_reduce(weight)
    (result.loss * world_size / weight).backward()  # DDP takes the mean over the ranks
    gradients = {name: parameter.grad.clone() for name, parameter in task.named_parameters() if parameter.grad is not None}
    evaluation = Evaluation(task, toy.decode, torch.device("cpu"), keep=False)
    with torch.no_grad():
        for part in toy.prepared.loader("test", rank=rank, world_size=world_size):
            evaluation.update(part)
    return gradients, evaluation.compute()


def figures_of(task: Task, pieces: Iterable[list[dict[str, Any]]]) -> dict[str, float]:
    """The task's figures, made of rows that come in pieces."""
    metrics = task.metrics()
    for rows in pieces:
        if rows:
            task.update(metrics, rows)
    figures: dict[str, float] = {}
    for name, metric in metrics.items():
        value = metric.compute()
        figures |= {key: float(each) for key, each in value.items()} if isinstance(value, dict) else {name: float(value)}
    return figures
