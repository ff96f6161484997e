"""Rows of files to predict."""

from collections.abc import Iterator
from typing import Any

from framework.data.formats import Format, Row
from framework.data.sources import readers
from framework.data.sources.columns import NoColumn
from framework.data.sources.files import FilesData


class TypedTexts(Format):
    """Texts to predict, as they are typed."""

    columns = ("text",)


def typed_or_rows(format: Format, file: str, **options: Any) -> Iterator[tuple[str | Row, str]]:
    """The rows of a file to predict, in their order, with their places. The lines of plain text are typed texts (`Format.from_text`), and
    so is a column `text` of a file that lacks the columns of the format. options: of `FilesData`."""
    source = FilesData.to_predict(format, file, **options)
    paths = source.paths("test")
    if source.kind_of(paths) == "text" and not source.pattern:
        for path in paths:
            yield from readers.read_typed(path, source.encoding, source.text_unit)
        return
    try:
        source.check()
    except NoColumn as error:
        if source.columns.selections or "text" in source.columns.names:
            raise
        yield from _texts(file, options, error)
    else:
        yield from source.rows("test")


def _texts(file: str, options: dict[str, Any], error: NoColumn) -> Iterator[tuple[str, str]]:
    """The texts of a column `text`. error: raised if there is none."""
    texts = FilesData.to_predict(TypedTexts(), file, **{**options, "columns": {}, "join": {}})
    try:
        texts.check()
    except NoColumn:
        raise error from None
    yield from ((row.get("text") or "", where) for row, where in texts.rows("test"))
