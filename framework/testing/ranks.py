"""A task in two processes, each with half of the rows, compared with one process."""

import multiprocessing
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from framework.data.batches import shard
from framework.testing.losses import losses_of, total_loss
from framework.testing.promise import BrokenPromise, Inapplicable
from framework.testing.toy_task import ToyTask
from framework.testing.values import TOLERANCE, near
from framework.training.evaluation import Evaluation

SECONDS = 60
Outcome = tuple[dict[str, Tensor], dict[str, float]]  # gradients by parameter, metrics by name


def runs_in_two_processes(toy: ToyTask) -> None:
    """Two processes with half of the rows each have the gradients and metrics of one.

    A loss that compares rows is another one in other batches, so its value is not compared, and its gradients only where it is over the
    global batch.
    """
    loss_over = toy.task().loss_over
    (gradients, figures), (together, both) = in_two_processes(toy)
    for name, value in gradients.items() if loss_over != "batch" else ():
        difference = (value - together[name]).abs().max().item()
        if not difference <= TOLERANCE * max(1.0, value.abs().max().item()):
            raise BrokenPromise(f"runs in two processes: the gradient of {name} differs from one process's by {difference:.2g}")
    for name, figure in figures.items():
        if loss_over != "rows" and name == "loss":
            continue
        if name not in both or not near(both[name], figure):
            raise BrokenPromise(f"runs in two processes: {name} is {both.get(name)!r}, in one process {figure!r}")


def in_two_processes(toy: ToyTask) -> tuple[Outcome, Outcome]:
    """Gradients and metrics of one process, and of two. BrokenPromise: one of the two fails or hangs.

    The processes are forked, so that a task from a test file need not be importable.
    """
    if sys.platform != "linux":
        raise Inapplicable("processes are forked, which is safe on Linux alone")
    # A forked process may hang on a lock that another thread of its parent held: then both are started once more.
    outcomes = _outcomes(toy) or _outcomes(toy)
    failed = [outcome for outcome in outcomes if isinstance(outcome, str)]
    if failed or len(outcomes) < 2:
        raise BrokenPromise(f"runs in two processes: {failed[0] if failed else 'a process did not end, or was killed'}")
    return _outcome(toy, 0, 1), outcomes[0]


def _outcomes(toy: ToyTask) -> list[Any]:
    """The outcome, or the error, of each process that ends."""
    fork = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        files: list[Path] = [Path(folder) / str(rank) for rank in range(2)]
        processes = [fork.Process(target=_run, args=(toy, rank, folder, files[rank]), daemon=True) for rank in range(2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(SECONDS)
        for process in processes:
            process.kill()  # nothing where it has ended
            process.join()
        return [torch.load(path, weights_only=False) for path in files if path.exists()]


def _run(toy: ToyTask, rank: int, folder: str, file: Path) -> None:
    torch.set_num_threads(1)  # the thread pool of the parent does not exist in a forked process
    try:
        dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
        outcome: Any = _outcome(toy, rank, 2)
    except Exception as error:  # the parent reports it
        outcome = f"{type(error).__name__}: {error}"
    torch.save(outcome, file)
    with suppress(ValueError, RuntimeError):
        dist.destroy_process_group()


def _outcome(toy: ToyTask, rank: int, world_size: int) -> Outcome:
    """Gradients of a global batch, and metrics over all rows."""
    task = toy.task()
    batch = toy.batch(shard(list(range(toy.count)), rank, world_size)[0])
    module = DistributedDataParallel(task) if world_size > 1 else task  # without a reference to it no gradient is reduced
    losses = losses_of(module, batch)
    for name, (loss, weight) in losses.items():
        weight = weight.detach().double()
        if world_size > 1:
            dist.all_reduce(weight)
        losses[name] = loss * world_size, weight  # DDP takes the mean over the processes
    total_loss(losses).backward()
    gradients = {name: parameter.grad.clone() for name, parameter in task.named_parameters() if parameter.grad is not None}
    evaluation = Evaluation(task, toy.decode, torch.device("cpu"), keep=False)
    with torch.no_grad():
        for part in toy.prepared.loader("test", rank=rank, world_size=world_size):
            evaluation.update(part)
    return gradients, evaluation.compute()
