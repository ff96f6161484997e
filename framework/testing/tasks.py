"""Contract tests of tasks, as functions of a toy task.

The learner splits batches into micro-batches and over processes, metrics are computed again from predictions.jsonl, and checkpoints are
loaded without rows: each relies on one of these promises.
"""

import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from framework.data.formats import Batch
from framework.data.sources.base import error_context
from framework.data.sources.files import FilesData
from framework.errors import UserError
from framework.tasks.base import Result, Task
from framework.tasks.capabilities import Distillable, DistillationOutputs
from framework.testing.promise import BrokenPromise, Inapplicable
from framework.testing.ranks import in_two_processes, metrics_of
from framework.testing.toy_task import ToyTask

TOLERANCE = 1e-6
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
    _, rows = _evaluated(task, toy, batch)
    if len(rows) != toy.count or not all(isinstance(row, dict) for row in rows):
        raise BrokenPromise(f"result has its shape: evaluate returned {len(rows)} dicts for {toy.count} rows")


def loss_is_a_sum(toy: ToyTask) -> None:
    """Loss and weight of a batch are the sums of those of its parts."""
    _needs_no_noise(toy)
    task, numbers = toy.task(), range(toy.count)
    whole, *halves = (_forward(task, toy.batch(part)) for part in (numbers, numbers[: toy.count // 3], numbers[toy.count // 3 :]))
    for name in ("loss", "weight"):
        total, summed = (float(sum(getattr(part, name) for part in parts)) for parts in ([whole], halves))
        if not _near(total, summed):
            raise BrokenPromise(f"loss is a sum: the {name} of a batch is {total:.6g}, the sum over its parts {summed:.6g}")


def rows_are_independent(toy: ToyTask) -> None:
    """The prediction of a row is the same alone and in a batch with longer and shorter rows."""
    _needs_no_noise(toy)
    task = toy.task()
    _, together = _evaluated(task, toy, toy.batch())
    for number, row in enumerate(together):
        _, alone = _evaluated(task, toy, toy.batch([number]))
        _same("rows are independent", row, alone[0], f"row {number} alone and in a batch of {toy.count}")


def respects_padding(toy: ToyTask) -> None:
    """Loss and rows do not depend on the padding token."""
    _needs_no_noise(toy)
    task = toy.task()
    (result, rows), (other, padded) = (_evaluated(task, toy, toy.batch(padding=id)) for id in (None, 70))
    for number, (row, changed) in enumerate(zip(rows, padded, strict=True)):
        _same("respects padding", row, changed, f"row {number} with two padding tokens")
    if not _near(float(result.loss), float(other.loss)):
        raise BrokenPromise(
            f"respects padding: the loss is {float(result.loss):.6g} or {float(other.loss):.6g}, depending on the padding token"
        )


def gradients_reach_every_parameter(toy: ToyTask) -> None:
    """Every parameter has a finite gradient that is not zero."""
    task = toy.task().train()
    task(toy.batch()).loss.backward()
    for name, parameter in task.named_parameters():
        if parameter.grad is None or not parameter.grad.isfinite().all() or not parameter.grad.any():
            problem = "none" if parameter.grad is None else "not finite" if not parameter.grad.isfinite().all() else "zero"
            raise BrokenPromise(f"gradients reach every parameter: that of {name} is {problem}")


def saves_and_loads(toy: ToyTask) -> None:
    """A new task with the saved weights has the same rows."""
    saved, file = toy.task(seed=0), io.BytesIO()
    torch.save(saved.state_dict(), file)
    file.seek(0)
    loaded = toy.task(seed=1)
    loaded.load_state_dict(torch.load(file, weights_only=True))
    batch = toy.batch()
    for number, (row, again) in enumerate(zip(_evaluated(saved, toy, batch)[1], _evaluated(loaded, toy, batch)[1], strict=True)):
        _same("saves and loads", row, again, f"row {number} of the saved and of the loaded task")


def predicts_without_targets(toy: ToyTask) -> None:
    """`predict` needs no targets, and has the predictions of `evaluate`."""
    rows = [{name: value for name, value in row.items() if name not in toy.format.optional} for row in toy.rows]
    task = toy.task()
    try:
        batch = toy.batch_to_predict(rows)
        assert batch is not None, "the format drops a row without targets"
        with torch.inference_mode():
            predicted = task.predict(batch, toy.decode)
    except Exception as error:
        raise BrokenPromise(f"predicts without targets: {type(error).__name__}: {error}") from error
    if len(predicted) != len(rows) or not all("prediction" in row for row in predicted):
        raise BrokenPromise(
            f"predicts without targets: predict returned {len(predicted)} dicts for {len(rows)} rows; each must have a `prediction`"
        )
    if not toy.format.stream and not toy.noisy:
        for number, (row, evaluated) in enumerate(zip(predicted, _evaluated(task, toy, toy.batch())[1], strict=True)):
            if "prediction" in evaluated:
                _same("predicts without targets", row["prediction"], evaluated["prediction"], f"row {number} without and with its target")


def answers_any_text(toy: ToyTask) -> None:
    """A text of any length is predicted from, or refused by the format with a ValueError that says why."""
    first = next((value for value in toy.rows[0].values() if isinstance(value, str)), "a text")
    for text, what in (
        (first, "the text of a row"),
        ("", "an empty text"),
        (" ".join([first] * 200), "a very long text"),
        ("☃ ~", "symbols"),
    ):
        try:
            batch = toy.batch_to_predict([toy.format.from_text(text)])
        except (ValueError, UserError):
            continue
        if batch is None:
            continue
        try:
            with torch.inference_mode():
                json.dumps(toy.task().predict(batch, toy.decode), allow_nan=False)
        except Exception as error:
            raise BrokenPromise(f"answers any text: {what} ends in {type(error).__name__}: {error}") from error


def refuses_other_types(toy: ToyTask) -> None:
    """A row of a file with a number where a text or a list is expected is refused with its file, line, column and type.

    A column that is not needed to predict may accept the number (labels are names: 1 and "1" are the same), but raises nothing except a
    ValueError.
    """
    format = toy.format
    readings: dict[str, Callable[[dict[str, Any]], Any]] = {
        "tokenizer_texts": lambda row: list(format.tokenizer_texts(row)),
        "encode": lambda row: format.encode(row, toy.tokenizer, toy.spec),
    }
    columns = [column for column in (*format.columns, *format.optional) if isinstance(toy.rows[0].get(column), (str, list))]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.jsonl"
        for column in dict.fromkeys(columns):
            rows = [toy.rows[0], {**toy.rows[0], column: 5}]
            file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
            for name, read in readings.items():
                message = _refusal(FilesData(format, 0, train=str(file), validation_share=0.0), read)
                parts = (f"{file}, line 2", column, "int") if column not in format.optional else ()
                if lacking := [part for part in parts if part not in message]:
                    got = f"the message lacks {', '.join(lacking)}: {message}" if message else "it is accepted"
                    raise BrokenPromise(f"refuses other types: {name} of a row with {column} = 5: {got}")


def _refusal(source: FilesData, read: Callable[[dict[str, Any]], Any]) -> str:
    """The message with which the rows of a file are refused; empty where they are accepted."""
    try:
        for row, where in source.rows("train"):
            with error_context(where):
                read(row)
    except UserError as error:
        return str(error)
    except Exception as error:
        raise BrokenPromise(
            f"refuses other types: {where} ends in {type(error).__name__}: {error} (use framework.data.formats.text_of)"
        ) from error
    return ""


def rows_are_plain(toy: ToyTask) -> None:
    """Rows are the same after predictions.jsonl, and metrics do not depend on their order and batches."""
    task = toy.task()
    _, rows = _evaluated(task, toy, toy.batch())
    try:
        loaded = [json.loads(json.dumps(row, allow_nan=False)) for row in rows]
    except (TypeError, ValueError) as error:
        raise BrokenPromise(f"rows are plain: a row is not JSON: {error}") from error
    for number, (row, back) in enumerate(zip(rows, loaded, strict=True)):
        if row != back:
            raise BrokenPromise(f"rows are plain: row {number} differs after JSON: {row} and {back}")
    expected = metrics_of(task, [loaded])
    for batches, order in (([loaded[::-1]], "in reverse order"), ([loaded[:2], loaded[2:3], loaded[3:]], "in three batches")):
        values = metrics_of(task, batches)
        for name, value in expected.items():
            if name not in values or not _near(values[name], value):
                raise BrokenPromise(f"rows are plain: {name} is {value!r}, and {values.get(name)!r} with the rows {order}")


def runs_in_two_processes(toy: ToyTask) -> None:
    """Two processes with half of the rows each have the gradients and metrics of one."""
    (gradients, figures), (together, both) = in_two_processes(toy)
    for name, value in gradients.items():
        difference = (value - together[name]).abs().max().item()
        if not difference <= TOLERANCE * max(1.0, value.abs().max().item()):
            raise BrokenPromise(f"runs in two processes: the gradient of {name} differs from one process's by {difference:.2g}")
    for name, figure in figures.items():
        if name not in both or not _near(both[name], figure):
            raise BrokenPromise(f"runs in two processes: {name} is {both.get(name)!r}, in one process {figure!r}")


def learns_its_rows(toy: ToyTask) -> None:
    """A few steps on a few rows halve the loss."""
    torch.manual_seed(0)
    task = toy.task().train()
    batch, optimizer = toy.batch(), torch.optim.AdamW(task.parameters(), lr=3e-3)
    losses = []
    for _ in range(STEPS):
        result = task(batch)
        losses.append((result.loss / result.weight).item())
        if losses[-1] < 0.5 * losses[0]:
            return
        optimizer.zero_grad()
        (result.loss / result.weight).backward()
        optimizer.step()
    raise BrokenPromise(f"learns its rows: {STEPS} steps on {toy.count} rows took the loss from {losses[0]:.3g} to {losses[-1]:.3g} only")


def distillation_outputs_add_up(toy: ToyTask) -> None:
    """The distillation outputs of a batch are those of its parts, in order."""
    _needs_no_noise(toy)
    task, numbers = toy.task(), range(toy.count)
    if not isinstance(task, Distillable):
        raise Inapplicable("the task cannot be distilled")
    parts = (numbers, numbers[: toy.count // 3], numbers[toy.count // 3 :])
    try:
        whole, *halves = (_distillation_outputs(task, toy.batch(part)) for part in parts)
    except UserError as error:
        raise Inapplicable(str(error)) from error
    if whole.hidden.ndim != 2 or whole.logits.ndim != 2 or len(whole.logits) % max(1, len(whole.hidden)):
        shapes = [list(value.shape) for value in (whole.hidden, whole.logits)]
        raise BrokenPromise(
            f"distillation outputs add up: hidden is (M, D), logits (N, C), N a multiple of M, and here {shapes[0]} and {shapes[1]}"
        )
    for name in ("hidden", "logits"):
        joined, together = torch.cat([getattr(half, name) for half in halves]), getattr(whole, name)
        if joined.shape != together.shape or not torch.allclose(joined, together, rtol=TOLERANCE, atol=TOLERANCE):
            raise BrokenPromise(f"distillation outputs add up: the {name} of a batch are not those of its parts, one after the other")


TASK_PROMISES: tuple[Callable[[ToyTask], None], ...] = (
    result_has_its_shape,
    rows_are_plain,
    gradients_reach_every_parameter,
    respects_padding,
    loss_is_a_sum,
    distillation_outputs_add_up,
    rows_are_independent,
    saves_and_loads,
    predicts_without_targets,
    answers_any_text,
    refuses_other_types,
    learns_its_rows,
    runs_in_two_processes,
)


def _needs_no_noise(toy: ToyTask) -> None:
    if toy.noisy:
        raise Inapplicable("collate draws at random, so a batch is not the sum of its rows")


def _forward(task: Task, batch: Batch) -> Result:
    with torch.no_grad():
        return task(batch)


def _distillation_outputs(task: Distillable, batch: Batch) -> DistillationOutputs:
    with torch.no_grad():
        return task.distillation_outputs(batch, task(batch))


def _evaluated(task: Task, toy: ToyTask, batch: Batch) -> tuple[Result, list[dict[str, Any]]]:
    with torch.inference_mode():
        return task.evaluate(batch, toy.decode)


def _same(promise: str, one: Any, other: Any, what: str) -> None:
    if not _alike(one, other):
        raise BrokenPromise(f"{promise}: {what} differ: {_short(one)} and {_short(other)}")


def _alike(one: Any, other: Any) -> bool:
    """Whether two values are equal, numbers within the tolerance."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[name], other[name]) for name in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, float) or isinstance(other, float):
        return isinstance(other, (int, float)) and _near(one, other)
    return one == other


def _near(one: float, other: float) -> bool:
    return one == other or abs(one - other) <= TOLERANCE * max(1.0, abs(one)) or (one != one and other != other)


def _short(value: Any, width: int = 150) -> str:
    text = str(value)
    return text if len(text) <= width else f"{text[:width]}…"
