"""Contract tests of the rows that go into a task and come out of it."""

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from framework.data.sources.base import error_context
from framework.data.sources.files import FilesData
from framework.errors import UserError
from framework.tasks.base import Task
from framework.testing.promise import BrokenPromise
from framework.testing.toy_task import ToyTask
from framework.testing.values import compare_rows, near


def predicts_without_targets(toy: ToyTask) -> None:
    """`predict` needs no targets, and has the predictions of `evaluate`."""
    rows = [{name: value for name, value in row.items() if name not in toy.format.optional} for row in toy.rows]
    task = toy.task()
    try:
        batch = toy.batch_to_predict(rows)
        assert batch is not None, "the format drops a row without targets"
        predicted = toy.predict(task, batch)
    except Exception as error:
        raise BrokenPromise(f"predicts without targets: {type(error).__name__}: {error}") from error
    if len(predicted) != len(rows) or not all("prediction" in row for row in predicted):
        raise BrokenPromise(
            f"predicts without targets: predict returned {len(predicted)} dicts for {len(rows)} rows; each must have a `prediction`"
        )
    if not toy.format.stream:
        found = [row["prediction"] for row in predicted]
        pairs = zip(found, toy.evaluate(task, toy.batch())[1], strict=True)
        expected = [evaluated.get("prediction", prediction) for prediction, evaluated in pairs]
        compare_rows("predicts without targets", found, expected, "without and with its target")


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
            json.dumps(toy.predict(toy.task(), batch), allow_nan=False)
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
                if not message and name == "tokenizer_texts" and read(rows[0]) == read(rows[1]):
                    continue  # the tokenizer is trained on other columns
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
    _, rows = toy.evaluate(task, toy.batch())
    try:
        loaded = [json.loads(json.dumps(row, allow_nan=False)) for row in rows]
    except (TypeError, ValueError) as error:
        raise BrokenPromise(f"rows are plain: a row is not JSON: {error}") from error
    for number, (row, back) in enumerate(zip(rows, loaded, strict=True)):
        if row != back:
            raise BrokenPromise(f"rows are plain: row {number} differs after JSON: {row} and {back}")
    expected = _metrics_of(task, [loaded])
    for batches, order in (([loaded[::-1]], "in reverse order"), ([loaded[:2], loaded[2:3], loaded[3:]], "in three batches")):
        values = _metrics_of(task, batches)
        for name, value in expected.items():
            if name not in values or not near(values[name], value):
                raise BrokenPromise(f"rows are plain: {name} is {value!r}, and {values.get(name)!r} with the rows {order}")


def _metrics_of(task: Task, batches: Iterable[list[dict[str, Any]]]) -> dict[str, float]:
    """The metrics of a task by name, from batches of rows."""
    metrics = task.metrics()
    for rows in batches:
        if rows:
            task.update(metrics, rows)
    values: dict[str, float] = {}
    for name, metric in metrics.items():
        computed = metric.compute()
        values |= {key: float(value) for key, value in (computed if isinstance(computed, Mapping) else {name: computed}).items()}
    return values
