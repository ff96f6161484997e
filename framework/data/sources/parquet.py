"""Parquet files, a batch of rows at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from framework.data.formats import Row
from framework.data.sources.columns import Columns, nested, nothing
from framework.errors import UserError

BATCH = 1024


def read_parquet(path: Path, columns: Columns) -> Iterator[tuple[Row, str]]:
    """Rows of a parquet file. Null and NaN are missing values, binary columns are UTF-8 text."""
    try:
        import pyarrow.parquet  # takes 0.2 s
    except ImportError:
        raise UserError(f"{path}: reading parquet needs the package pyarrow: python -m pip install pyarrow") from None
    with _whole(path):
        file = pyarrow.parquet.ParquetFile(path, page_checksum_verification=True)
    names = file.schema_arrow.names
    indices = columns.indices(names, len(names), str(path), nested=True)
    wanted = sorted({place.index for places in indices.values() for place in places})
    number = 0
    with file:
        batches = file.iter_batches(batch_size=BATCH, columns=sorted({names[index] for index in wanted}))
        while True:
            with _whole(path):
                batch = next(batches, None)
            if batch is None:
                return
            read = {index: _values(_column(batch, names, index), path, names[index], number + 1) for index in wanted}
            for offset in range(batch.num_rows):
                number += 1
                where = f"{path}, row {number}"
                cells: list[Any] = [None] * len(names)
                for index, values in read.items():
                    cells[index] = values[offset]
                row = columns.row(cells, indices, where)
                if column := columns.missing(row):
                    place = indices[column][0]
                    reason = nothing(nested(cells[place.index], place.path) if place.path else cells[place.index])
                    raise columns.without(column, f"column {place.name!r} is {reason}", where)
                yield row, where


def _column(batch: Any, names: list[str], index: int) -> Any:
    """The column of an index of the file; of columns with the same name, a batch has all."""
    before = names[:index].count(names[index])
    return batch.column([place for place, name in enumerate(batch.schema.names) if name == names[index]][before])


def _values(column: Any, path: Path, name: str, first: int) -> list[Any]:
    """The values of a column of a batch, whose first row has the number `first`."""
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError):
        for number, value in enumerate(column, first):
            try:
                value.as_py()
            except (ValueError, OverflowError) as error:
                raise UserError(f"{path}, row {number}: column {name!r} cannot be read: {error}\nrepair or remove the row") from None
        raise


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """UserError: pyarrow cannot read the file."""
    import pyarrow

    try:
        yield
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(f"{path}: not a parquet file that can be read ({reason}); download it again, or write it anew") from None
