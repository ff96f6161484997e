"""Rows from files on this machine."""

import glob
from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Literal

from framework.data.formats import Format, Row
from framework.data.sources import readers
from framework.data.sources.base import SPLITS, LocatedRow, Source
from framework.data.sources.conll import Conll
from framework.data.sources.folders import files_by_class, read_folders
from framework.data.sources.json_files import read_json, read_json_lines
from framework.data.sources.lines import codec_name
from framework.errors import UserError
from framework.registry import Part, choice, register

Kind = Literal["auto", "csv", "tsv", "jsonl", "json", "parquet", "conll", "text", "parallel", "folders"]
ROWS_TO_CHECK = 10_000  # of each split, before anything heavy is loaded: a tenth of a second
FILES_TO_CHECK = 500  # where each row is a file
ENDINGS = {
    "csv": (".csv",),
    "tsv": (".tsv",),
    "jsonl": (".jsonl", ".ndjson"),
    "json": (".json",),
    "parquet": (".parquet", ".pq"),
    "conll": (".conll", ".iob", ".iob2", ".bio"),
}
KINDS = {ending: kind for kind, endings in ENDINGS.items() for ending in endings}


@register("data")
class FilesData(Source):
    """Files: CSV, TSV, JSON, parquet, CoNLL, plain text, parallel text, folders of texts.

    folder: where the files lie; null = the current folder.
    train, validation, test: a file, a pattern like part_*.csv, or a list; null = there is none.
    columns: where each column of the task stands, `data.columns.text=review`: a name, a number (from 0; -1 is the last), a list (those
        that a row has become one list) or a text to fill in, "{title} {body}"; unnamed ones have the task's names.
    header: whether the first row names the columns, or the names; null = by looking (always, unless all columns are given by number).
    encoding: of the text files.
    delimiter: between columns; null = a comma in csv, a tab in tsv, what the file has in conll.
    quoting: whether "quotes" may hold delimiters and line breaks; null = in csv, not in tsv.
    line_break: what stands for a line break inside a text of a csv or tsv, beside the line break itself.
    kind: what the files are; auto = by their ending (.gz after it is unpacked), else plain text; several texts are parallel where the
        task asks for several columns, and a folder of folders holds one text a file and one folder a class.
    text_unit: what one row of a plain text is. Line ends are kept where the task reads running text.
    pattern: a regular expression for lines of plain text, whose named groups are columns: (?P<label>[A-Z]+):(?P<text>.*)
    comment: what begins a line of a conll file that is skipped; null = # before a sentence, unless the line has a token's columns.
    prefix: a regular expression for what stands before every token of a conll file and is no part of it.
    classes: the folders that are classes, for kind=folders; null = all that hold files.
    validation_share: of the training rows, split off where no validation file is given; 0 = none.
    test_share: of the training rows, split off where no test file is given, the same for every seed; 0 = none.
    split: how they are split off: random rows (validation by seed), or the last ones (in plain text the last characters).
    limit: rows of each split at most; null = all.
    published: where the data can be had, for the answer when it is missing.
    batches: how rows become batches.
    workers: processes that make batches ahead; 0 = none.
    """

    option_traits: ClassVar = {"may_change": ("folder", "train", "validation", "test", "published")}  # files may move
    reading: ClassVar = (  # options that say how a file is read
        *("columns", "header", "encoding", "delimiter", "quoting", "line_break"),
        *("kind", "text_unit", "pattern", "comment", "prefix", "classes"),
    )

    def __init__(
        self,
        format: Format,
        seed: int,
        folder: str | None = None,
        train: str | list[str] | None = None,
        validation: str | list[str] | None = None,
        test: str | list[str] | None = None,
        columns: dict[str, str | int | list[str | int]] = {},  # noqa: B006 - never written to
        header: bool | list[str] | None = None,
        encoding: str = "utf-8",
        delimiter: str | None = None,
        quoting: bool | None = None,
        line_break: str | None = None,
        kind: Kind = "auto",
        text_unit: Literal["line", "paragraph", "file"] = "line",
        pattern: str | None = None,
        comment: str | None = None,
        prefix: str | None = None,
        classes: list[str] | None = None,
        validation_share: float = 0.05,
        test_share: float = 0.0,
        split: Literal["random", "last"] = "random",
        limit: int | None = None,
        published: str | None = None,
        batches: Part = choice("batches", "buckets"),
        workers: int = 0,
    ):
        super().__init__(format, seed, columns, validation_share, test_share, split, limit, batches, workers)
        if delimiter is not None and len(delimiter) != 1:
            raise UserError(f"data.delimiter={delimiter!r}: one character")
        self.folder, self.published = Path(folder or ".").expanduser(), published
        self.named = {name: value for name, value in zip(SPLITS, (train, validation, test), strict=True) if value}
        self.kind, self.text_unit, self.pattern, self.classes = kind, text_unit, pattern, classes
        self.header, self.encoding, self.delimiter, self.quoting = header, codec_name(encoding), delimiter, quoting
        self.line_break, self.comment, self.prefix = line_break, comment, prefix

    @classmethod
    def to_predict(cls, format: Format, file: str, **values: Any) -> "FilesData":
        """The rows of one file as split `test`, read as the training rows were, but that the optional columns may be absent."""
        source = cls(format, 0, test=file, **values)
        source.columns.required -= source.columns.optional
        return source

    def native_splits(self) -> tuple[str, ...]:
        return tuple(self.named)

    def check(self) -> None:
        if not self.named:
            raise UserError("data=files has no file: data.train=FILE" + self._where_to_get())
        for split in self.named:
            most = FILES_TO_CHECK if self.kind_of(self.paths(split)) == "folders" else ROWS_TO_CHECK
            if not sum(1 for _ in islice(self.read(split), most)):
                raise UserError(f"{self.paths(split)[0]} holds no rows (data.{split})")

    def origin(self, split: str) -> Any:
        paths = self.paths(split)
        if self.kind_of(paths) == "folders":
            paths = [file for path in paths for files in files_by_class(path, self.classes).values() for file in files]
        files = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
        return {"files": files, "how": [getattr(self, name) for name in self.reading if name != "columns"]}

    def paths(self, split: str) -> list[Path]:
        """The files of a split. UserError: one is missing or empty."""
        named = self.named[split]
        paths: list[Path] = []
        for name in [named] if isinstance(named, str) else named:
            path = self.folder / Path(name).expanduser()
            found = [path] if path.exists() else [Path(match) for match in sorted(glob.glob(str(path)))]
            if not found:
                raise UserError(f"{path} does not exist (data.{split}={name}){self._where_to_get()}")
            paths += found
        for path in paths:
            if path.is_dir() and self.kind_of(paths) != "folders":
                raise UserError(f"{path} is a folder (data.{split}); name the files in it: data.folder={path} data.{split}=FILE")
            if not path.is_dir() and self.kind == "folders":
                raise UserError(
                    f"{path} is a file (data.{split}); data.kind=folders reads a folder with one folder a class, one text a file"
                )
            if not path.is_dir() and path.stat().st_size == 0:
                raise UserError(f"{path} is empty (data.{split}); it must hold at least one row")
        return paths

    def _where_to_get(self) -> str:
        folder = "" if self.folder != Path(".") else "; say where the files lie: data.folder=DIR"
        return folder + (f"\nthe data is published at {self.published}" if self.published else "")

    def kind_of(self, paths: list[Path]) -> str:
        if self.kind != "auto":
            return self.kind
        if paths[0].is_dir() and any(path.is_dir() for path in paths[0].iterdir()):
            return "folders"
        kind = KINDS.get(Path(paths[0].name.lower().removesuffix(".gz")).suffix, "text")
        several = len(paths) > 1 and len(self.format.columns) > 1 and not self.pattern
        return "parallel" if kind == "text" and several else kind

    def read(self, split: str) -> Iterator[LocatedRow]:
        paths = self.paths(split)
        kind = self.kind_of(paths)
        if kind == "parallel":
            yield from readers.read_parallel(paths, self.columns, self.encoding)
            return
        for path in paths:
            yield from self._read_file(path, kind)

    def _read_file(self, path: Path, kind: str) -> Iterator[LocatedRow]:
        if kind in ("csv", "tsv"):
            delimiter = self.delimiter or ("," if kind == "csv" else "\t")
            quoting = kind == "csv" if self.quoting is None else self.quoting
            return readers.read_table(path, self.columns, self.encoding, self.header, delimiter, quoting, self.line_break)
        if kind in ("jsonl", "json"):
            return (read_json if kind == "json" else read_json_lines)(path, self.columns, self.encoding)
        if kind == "parquet":
            return readers.read_parquet(path, self.columns)
        if kind == "conll":
            return Conll(self.columns, self.encoding, self.delimiter, self.comment, self.prefix).read(path)
        if kind == "folders":
            return read_folders(path, self.columns, self.encoding, self.classes)
        if self.pattern:
            return readers.read_pattern(path, self.columns, self.encoding, self.pattern)
        if len(self.columns.required) > 1:
            raise UserError(
                f"{path}: plain text has one column, and {', '.join(sorted(self.columns.required))} are asked for\n"
                "say what it is: data.kind=csv, tsv, jsonl or conll; data.train=[ONE,OTHER] (parallel); data.pattern with named groups"
            )
        return readers.read_text(path, self._text_column, self.encoding, self.text_unit, running=self.format.stream)

    @cached_property
    def _text_column(self) -> str:
        return next((name for name in self.columns.names if name in self.columns.required), self.columns.names[0])

    def row_size(self, row: Row) -> int:
        return len(row[self._text_column]) if self._is_text else 1

    def split_row(self, row: Row, at: int) -> tuple[Row, Row]:
        text = row[self._text_column]
        return {self._text_column: text[:at]}, {self._text_column: text[at:]}

    @cached_property
    def _is_text(self) -> bool:
        return not self.pattern and self.kind_of(self.paths("train")) == "text"
