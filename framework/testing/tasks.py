"""Contract tests of tasks, as functions of a toy task.

The learner splits batches into micro-batches and over processes, metrics are computed again from predictions.jsonl, and checkpoints are
loaded without rows: each relies on one of these promises.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from framework.data.formats import Batch
from framework.errors import UserError
from framework.tasks.capabilities import Distillable
from framework.testing.losses import losses_of, total_loss
from framework.testing.parameters import check_gradients, load_saved
from framework.testing.promise import BrokenPromise, Inapplicable
from framework.testing.ranks import runs_in_two_processes
from framework.testing.task_rows import answers_any_text, predicts_without_targets, refuses_other_types, rows_are_plain
from framework.testing.toy_task import ToyTask
from framework.testing.values import TOLERANCE, compare_rows, near

STEPS = 60


def check_task(toy: ToyTask) -> None:
    """Checks every promise of tasks. BrokenPromise: the first one that does not hold."""
    for promise in TASK_PROMISES:
        try:
            promise(toy)
        except Inapplicable:
            continue


def result_has_its_shape(toy: ToyTask) -> None:
    """Loss and weight are scalars, the loss with a gradient; `evaluate` returns a dict for every row."""
    task, batch = toy.task(), toy.batch()
    result = task(batch)
    for name, value in (("loss", result.loss), ("weight", result.weight)):
        if not isinstance(value, Tensor) or value.shape != () or not value.isfinite():
            raise BrokenPromise(f"result has its shape: the {name} is {value!r}, not a finite scalar tensor")
    if not result.loss.requires_grad or result.weight <= 0:
        raise BrokenPromise(f"result has its shape: the loss has no gradient, or the weight ({result.weight}) is not positive")
    _, rows = toy.evaluate(task, batch)
    if len(rows) != toy.count or not all(isinstance(row, dict) for row in rows):
        raise BrokenPromise(f"result has its shape: evaluate returned {len(rows)} dicts for {toy.count} rows")


def batch_is_declared(toy: ToyTask) -> None:
    """A batch holds what its format says that it makes, and that is all that a task with `reads` reads unasked."""
    task, batch = toy.task(), _Watched(toy.batch())
    if lacking := [name for name in toy.format.makes if name not in batch.keys()]:
        raise BrokenPromise(f"batch is declared: {type(toy.format).__name__}.makes names {lacking[0]}, which its batches lack")
    if unmade := [name for name in task.reads if name not in toy.format.makes]:
        raise BrokenPromise(f"batch is declared: the task reads {unmade[0]}, which {type(toy.format).__name__}.makes does not name")
    toy.evaluate(task, batch)
    if task.reads and (undeclared := batch.read - batch.asked - {*task.reads, "@rows"}):
        raise BrokenPromise(
            f"batch is declared: the task reads {', '.join(sorted(undeclared))} of a batch, which its `reads` does not name"
        )
    trained = _Watched(toy.batch())
    task.train()(trained)
    if unread := trained.read & {*task.read_in_evaluation}:
        raise BrokenPromise(
            f"batch is declared: `read_in_evaluation` names {', '.join(sorted(unread))}, which training batches lack and `forward` reads"
        )


class _Watched(dict[str, Any]):
    """A batch that remembers which keys were read, and which were asked for first."""

    def __init__(self, batch: Batch):
        super().__init__(batch)
        self.read: set[str] = set()
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.asked.add(str(name))
        return super().__contains__(name)


def loss_is_a_sum(toy: ToyTask) -> None:
    """Losses and weights of a batch are the sums of those of its parts; of a task that compares rows, the weight alone."""
    task = toy.task()
    whole, parts = _of_parts(toy, lambda batch: losses_of(task, batch))
    for name in whole:
        for number, value in enumerate(("loss", "weight")):
            total, summed = float(whole[name][number]), float(sum(part[name][number] for part in parts if name in part))
            if not near(total, summed) and (value == "weight" or task.loss_over == "rows"):
                what = value if name == "loss" else f"{value} of {name!r}"
                raise BrokenPromise(f"loss is a sum: the {what} of a batch is {total:.6g}, the sum over its parts {summed:.6g}")


def loss_ignores_the_order_of_rows(toy: ToyTask) -> None:
    """The losses of a batch are those of its rows in any order."""
    task, numbers = toy.task(), range(toy.count)
    with torch.no_grad():
        one, other = (losses_of(task, toy.batch(order)) for order in (numbers, numbers[::-1]))
    for name, pair in one.items():
        if not near(float(pair[0]), float(other[name][0])):
            raise BrokenPromise(
                f"loss ignores the order of rows: it is {float(pair[0]):.6g}, and {float(other[name][0]):.6g} with the rows reversed"
            )


def rows_are_independent(toy: ToyTask) -> None:
    """The prediction of a row is the same alone and in a batch with longer and shorter rows."""
    task = toy.task()
    _, together = toy.evaluate(task, toy.batch())
    alone = [toy.evaluate(task, toy.batch([number]))[1][0] for number in range(len(together))]
    compare_rows("rows are independent", together, alone, f"alone and in a batch of {toy.count}")


def respects_padding(toy: ToyTask) -> None:
    """Loss and rows do not depend on the padding token."""
    task = toy.task()
    (result, rows), (other, padded) = (toy.evaluate(task, toy.batch(padding=id)) for id in (None, 70))
    compare_rows("respects padding", rows, padded, "with two padding tokens")
    loss, changed = float(result.loss), float(other.loss)
    if not near(loss, changed):
        raise BrokenPromise(f"respects padding: the loss is {loss:.6g} or {changed:.6g}, depending on the padding token")


def gradients_reach_every_parameter(toy: ToyTask) -> None:
    """Every parameter has a finite gradient that is not zero."""
    task = toy.task().train()
    check_gradients(task, total_loss(losses_of(task, toy.batch())))


def saves_and_loads(toy: ToyTask) -> None:
    """A new task with the saved weights has the same rows."""
    saved, loaded, batch = toy.task(seed=0), toy.task(seed=1), toy.batch()
    load_saved(saved, loaded)
    compare_rows("saves and loads", toy.evaluate(saved, batch)[1], toy.evaluate(loaded, batch)[1], "of the saved and of the loaded task")


def learns_its_rows(toy: ToyTask) -> None:
    """A few steps on a few rows halve the loss."""
    torch.manual_seed(0)
    task = toy.task().train()
    batch, optimizer = toy.batch(), torch.optim.AdamW(task.parameters(), lr=3e-3)
    losses = []
    for _ in range(STEPS):
        loss = total_loss(losses_of(task, batch))
        losses.append(loss.item())
        if losses[-1] < 0.5 * losses[0]:
            return
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    raise BrokenPromise(f"learns its rows: {STEPS} steps on {toy.count} rows took the loss from {losses[0]:.3g} to {losses[-1]:.3g} only")


def distillation_outputs_add_up(toy: ToyTask) -> None:
    """The distillation outputs of a batch are those of its parts, in order."""
    task = toy.task()
    if not isinstance(task, Distillable):
        raise Inapplicable("the task cannot be distilled")
    try:
        whole, parts = _of_parts(toy, lambda batch: task.distillation_outputs(batch, task(batch)))
    except UserError as error:
        raise Inapplicable(str(error)) from error
    hidden, logits = whole.hidden, whole.logits
    if hidden.ndim != 2 or logits.ndim != 2 or len(logits) % max(1, len(hidden)):
        shapes = f"{list(hidden.shape)} and {list(logits.shape)}"
        raise BrokenPromise(f"distillation outputs add up: hidden is (M, D), logits (N, C), N a multiple of M, and here {shapes}")
    for name in ("hidden", "logits"):
        joined, together = torch.cat([getattr(part, name) for part in parts]), getattr(whole, name)
        if joined.shape != together.shape or not torch.allclose(joined, together, rtol=TOLERANCE, atol=TOLERANCE):
            raise BrokenPromise(f"distillation outputs add up: the {name} of a batch are not those of its parts, one after the other")


TASK_PROMISES: tuple[Callable[[ToyTask], None], ...] = (
    result_has_its_shape,
    batch_is_declared,
    rows_are_plain,
    gradients_reach_every_parameter,
    respects_padding,
    loss_is_a_sum,
    loss_ignores_the_order_of_rows,
    distillation_outputs_add_up,
    rows_are_independent,
    saves_and_loads,
    predicts_without_targets,
    answers_any_text,
    refuses_other_types,
    learns_its_rows,
    runs_in_two_processes,
)


def _of_parts(toy: ToyTask, compute: Callable[[Batch], Any]) -> tuple[Any, list[Any]]:
    """Results of `compute` for the batch of all rows, and for each of its two parts."""
    numbers, third = range(toy.count), toy.count // 3
    with torch.no_grad():
        whole, *parts = (compute(toy.batch(part)) for part in (numbers, numbers[:third], numbers[third:]))
    return whole, parts
