"""Jobs of the tests with two processes; started as `main([FOLDER, JOB, ...])` in each rank, which `RANK` in its environment numbers."""

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from pytorch_lightning.callbacks import Callback

from framework.registry import Part
from framework.tracking.csv_file import CsvTracker
from framework.training.callbacks import Checkpoint
from framework.training.distillation import StandardDistillation
from framework.training.optimizers import SGD
from framework.training.schedules import Cosine
from tests.training.toys import DistillableToy, Loader, NextTokenTask, PenalizedTask, adapted_task, learner, rows, trainer

RANK = int(os.environ["RANK"])


class KillYourself(Callback):
    def on_train_batch_start(self, loop, module, batch, batch_idx):
        if loop.global_step == 13:
            os.kill(os.getpid(), signal.SIGKILL)


def fit(
    folder: Path,
    strategy: str,
    dropout: float = 0.0,
    kill: bool = False,
    resume: bool = False,
    steps: int = 20,
    task: Callable[..., NextTokenTask] = NextTokenTask,
) -> None:
    """Some steps over 70 rows in batches of 32 (the last has 6), then a test. Rank zero saves weights and files."""
    module = learner(task(dropout=dropout), Part(SGD, lr=0.5, momentum=0.9), Part(Cosine, warmup=2), folder=folder)
    callbacks = [Checkpoint(folder, "validation/loss", "min", every_n_train_steps=4), *([KillYourself()] if kill else [])]
    loop = trainer(folder, max_steps=steps, max_epochs=-1, devices=2, strategy=strategy, callbacks=callbacks, logger=[CsvTracker(folder)])
    train, held_out = (Loader(rows(count), size, RANK, 2, shuffle) for count, size, shuffle in ((70, 32, True), (31, 8, False)))
    loop.fit(module, train, held_out, ckpt_path=folder / "checkpoints/last.ckpt" if resume else None)
    loop.test(module, held_out, verbose=False)
    if RANK == 0 and strategy != "fsdp":
        torch.save(module.task.state_dict(), folder / "weights.pt")


def taught(folder: Path, strategy: str) -> None:
    """The same steps with a teacher."""
    module = learner(DistillableToy(), Part(SGD, lr=0.5), distillation=StandardDistillation(DistillableToy(seed=7)))
    callbacks = [Checkpoint(folder, "validation/loss", "min")]
    loop = trainer(folder, max_steps=6, max_epochs=-1, devices=2, strategy=strategy, callbacks=callbacks)
    loop.fit(module, Loader(rows(70), 32, RANK, 2), Loader(rows(31), 8, RANK, 2))


def penalized(folder: Path, accumulate: int) -> None:
    """Steps with auxiliary losses and figures, each micro-batch with other weights."""
    module = learner(PenalizedTask(), Part(SGD, lr=0.1, momentum=0.0))
    options = {"accumulate_grad_batches": accumulate, "logger": [CsvTracker(folder)]}
    loop = trainer(folder, max_steps=7, max_epochs=-1, devices=2, strategy="ddp", **options)
    loop.fit(module, Loader(rows(70), 32 // accumulate, RANK, 2), Loader(rows(9), 4, RANK, 2))
    if RANK == 0:
        torch.save(module.task.state_dict(), folder / "weights.pt")


JOBS = {
    "penalized_1": lambda folder: penalized(folder / "penalized_1", 1),
    "penalized_4": lambda folder: penalized(folder / "penalized_4", 4),
    "ddp_taught": lambda folder: taught(folder / "ddp_taught", "ddp"),
    "fsdp_taught": lambda folder: taught(folder / "fsdp_taught", "fsdp"),
    "ddp": lambda folder: fit(folder / "ddp", "ddp"),
    "fsdp": lambda folder: fit(folder / "fsdp", "fsdp"),
    "fsdp_resumed": lambda folder: fit(folder / "fsdp", "fsdp", resume=True, steps=24),
    "adapted": lambda folder: fit(folder / "adapted", "ddp", task=adapted_task),
    "adapted_fsdp": lambda folder: fit(folder / "adapted_fsdp", "fsdp", task=adapted_task),
    "whole": lambda folder: fit(folder / "whole", "ddp", dropout=0.3),
    "killed": lambda folder: fit(folder / "cut", "ddp", dropout=0.3, kill=True),
    "resumed": lambda folder: fit(folder / "cut", "ddp", dropout=0.3, resume=True),
}


def main(words: Sequence[str]) -> int:
    folder, *jobs = words
    for job in jobs:
        JOBS[job](Path(folder))
    return 0
