"""Local files as a data source."""

import glob
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Literal

from framework.data.fingerprints import code_of
from framework.data.formats import Format, Row
from framework.data.sources import readers
from framework.data.sources.base import SPLITS, LocatedRow, Source
from framework.data.sources.columns import Columns
from framework.data.sources.conll import Conll
from framework.data.sources.flags import flags_beside
from framework.data.sources.folders import files_by_class, read_folders
from framework.data.sources.json_files import read_json, read_json_lines
from framework.data.sources.lines import codec_name, lines, readable, size_of
from framework.data.sources.parquet import read_parquet
from framework.data.sources.separate import separate_options
from framework.data.sources.tables import Table
from framework.errors import UserError
from framework.registry import Part, choice, register

Kind = Literal["auto", "csv", "tsv", "jsonl", "json", "parquet", "conll", "text", "parallel", "folders"]
ROWS_TO_CHECK = 10_000  # of each split, before torch is loaded; takes 0.1 s
FILES_TO_CHECK = 500  # if each row is a file
ENDINGS = {
    "csv": (".csv",),
    "tsv": (".tsv",),
    "jsonl": (".jsonl", ".ndjson"),
    "json": (".json",),
    "parquet": (".parquet", ".pq"),
    "conll": (".conll", ".iob", ".iob2", ".bio"),
}
NAMED = ("csv", "tsv", "jsonl", "json", "parquet")  # kinds of files whose columns have names
KINDS = {ending: kind for kind, endings in ENDINGS.items() for ending in endings}


@register("data")
class FilesData(Source):
    """Local files: CSV, TSV, JSON, parquet, CoNLL, plain text, parallel text, folders of texts.

    folder: folder of the files; null = the current folder.
    train, validation, test: a file, a pattern like part_*.csv, or a list of them; null = none. A mapping has options of its own, from
        `columns` to `classes` below, for this split alone: data.test={path: test.jsonl, columns: {text: review}}.
    columns: column of the files for each column of the task, `data.columns.text=review`: a name (with a path into lists and objects,
        messages.0.content), an index (from 0; -1 is the last), a list (the values of a row as a list; for labels, columns of 0 and 1)
        or a template "{title} {body}"; by default the task's own names.
    join: text between the texts of a list, for columns of the task that need one text: `data.join.text=' '`.
    header: whether the first row names the columns, or a list of names; null = detect it (true, unless all columns are selected by index).
    encoding: encoding of text files; null = that of their byte-order mark, else utf-8.
    delimiter: between columns; null = a comma in csv, a tab in tsv, or another one by which the header has the columns; detected in conll.
    quoting: whether quoted text may contain delimiters and line breaks; null = in csv, not in tsv.
    line_break: text that stands for a line break inside a cell of a csv or tsv file.
    kind: kind of the files; auto = by their ending (.gz after it is decompressed), else plain text. Several text files are parallel if the
        task has several columns; a folder of folders has one text a file and one folder a class.
    text_unit: the part of a plain text that is one row. Line ends are kept for tasks on running text.
    pattern: a regular expression for lines of plain text, whose named groups are columns: (?P<label>[A-Z]+):(?P<text>.*)
    unmatched: what becomes of a line that does not match the pattern: `refuse` it, or `skip` it, so that the pattern selects rows.
    comment: prefix of lines to skip in a conll file, "" = none; null = # before a sentence, unless the line has the columns of a token.
    prefix: a regular expression that is removed from the start of every token of a conll file.
    classes: folders that are classes, for kind=folders; null = all with files, except those whose names begin with . or __
    validation_share: share of the training rows that becomes the validation split if there is no validation file; 0 = no validation split.
    test_share: share of the training rows that becomes the test split if there is no test file, the same rows for every seed; 0 = no test
        split.
    split: which training rows: random ones, each label with its share (validation by seed), or the last ones (in plain text the last
        characters).
    folds, fold: cross-validation: the training rows fall into so many folds, by label and the same for every seed, and the one of this
        number, from 1, is the test split. `data.folds=5` alone on the command line trains all, each as a run of a sweep. null = none.
    limit: most rows of each split, a random sample in their order (of running text, successive rows); null = all.
    published: address of the data, shown when files are missing.
    batches: how rows are batched.
    workers: processes that prefetch batches; 0 = none.
    """

    option_traits: ClassVar = {
        "may_change": ("folder", "train", "validation", "test", "published"),  # files may move
        "empty": ("comment",),
    }
    reading: ClassVar = (  # options that say how a file is read
        *("columns", "join", "header", "encoding", "delimiter", "quoting", "line_break"),
        *("kind", "text_unit", "pattern", "unmatched", "comment", "prefix", "classes"),
    )

    def __init__(
        self,
        format: Format,
        seed: int,
        folder: str | None = None,
        train: str | list[str] | dict[str, Any] | None = None,
        validation: str | list[str] | dict[str, Any] | None = None,
        test: str | list[str] | dict[str, Any] | None = None,
        columns: dict[str, str | int | list[str | int]] = {},  # noqa: B006 - never written to
        join: dict[str, str] = {},  # noqa: B006 - never written to
        header: bool | list[str] | None = None,
        encoding: str | None = None,
        delimiter: str | None = None,
        quoting: bool | None = None,
        line_break: str | None = None,
        kind: Kind = "auto",
        text_unit: Literal["line", "paragraph", "file"] = "line",
        pattern: str | None = None,
        unmatched: Literal["refuse", "skip"] = "refuse",
        comment: str | None = None,
        prefix: str | None = None,
        classes: list[str] | None = None,
        validation_share: float = 0.05,
        test_share: float = 0.0,
        split: Literal["random", "last"] = "random",
        folds: int | None = None,
        fold: int | None = None,
        limit: int | None = None,
        published: str | None = None,
        batches: Part = choice("batches", "buckets"),
        workers: int = 0,
    ):
        super().__init__(format, seed, columns, validation_share, test_share, split, limit, batches, workers, join, folds, fold)
        if delimiter is not None and len(delimiter) != 1:
            raise UserError(f"data.delimiter={delimiter!r} must be one character")
        self.folder, self.published = Path(folder or ".").expanduser(), published
        given = {name: value for name, value in zip(SPLITS, (train, validation, test), strict=True) if value}
        self.files_of: dict[str, Any] = {name: value.get("path") if isinstance(value, Mapping) else value for name, value in given.items()}
        if pattern is not None:
            readers.compiled("pattern", pattern)
        self.kind, self.text_unit, self.pattern, self.unmatched, self.classes = kind, text_unit, pattern, unmatched, classes
        if encoding is not None:
            codec_name(encoding)
        self.header, self.encoding, self.delimiter, self.quoting = header, encoding, delimiter, quoting
        self.line_break, self.comment, self.prefix = line_break, comment, prefix
        shared = {name: getattr(self, name) for name in self.reading if name not in ("columns", "join")}
        shared |= {"columns": self.columns.selections, "join": self.columns.join}
        self._separate: dict[str, FilesData] = {}
        self._left_out: dict[str, str] = {}  # split -> its note, for which its files are read once
        for name, value in given.items():
            if isinstance(value, Mapping):
                own = separate_options(name, value, self.reading, FilesData.__init__)
                self._separate[name] = FilesData(format, seed, folder, published=published, batches=batches, **shared | own)

    @classmethod
    def to_predict(cls, format: Format, file: str, **values: Any) -> "FilesData":
        """The rows of one file to predict, as split `test`; optional columns may be absent, and rows blank."""
        source = cls(format, 0, test=file, **values)
        source.columns.required -= source.columns.optional
        source.columns.keeps_blank = True
        return source

    def of(self, split: str) -> "FilesData":
        """The source that reads a split: one of its own if the split has options of its own."""
        return self._separate.get(split, self)

    def native_splits(self) -> tuple[str, ...]:
        return tuple(self.files_of)

    def check(self) -> None:
        if not self.files_of:
            raise UserError("data=files has no file: set data.train=FILE" + self._where_to_get())
        super().check()
        for split in self.files_of:
            paths = self.paths(split)
            most = FILES_TO_CHECK if self.of(split).kind_of(paths) == "folders" else ROWS_TO_CHECK
            if not sum(1 for _ in islice(self.read(split), most)):
                raise UserError(f"{paths[0]} has no rows (data.{split})")
        source = self.of("train")
        if "train" in self.files_of and (kind := source.kind_of(paths := self.paths("train"))) in NAMED:
            for note in flags_beside(source.columns, self.format, lambda columns: source._read_file(paths[0], kind, columns)):
                print(f"{paths[0]}: {note}", flush=True)

    def origin(self, split: str) -> Any:
        if split in self._separate:
            own = self._separate[split]
            return {"separate": own.origin(split), "columns": own.columns.selections}
        paths = self.paths(split)
        if self.kind_of(paths) == "folders":
            paths = [file for path in paths for files in files_by_class(path, self.classes).values() for file in files]
        files = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
        options = [getattr(self, name) for name in self.reading if name not in ("columns", "join")]
        return {"files": files, "options": [*options, self.columns.join], "read by": code_of(self)}

    def paths(self, split: str) -> list[Path]:
        """The files of a split. UserError: one is missing, cannot be read or is of the wrong kind, or all are empty."""
        if split in self._separate:
            return self._separate[split].paths(split)
        names = self.files_of[split]
        paths: list[Path] = []
        for name in [names] if isinstance(names, str) else names:
            path = self.folder / Path(name).expanduser()
            matches = [path] if os.path.lexists(path) else [Path(match) for match in sorted(glob.glob(str(path)))]
            if not matches:
                with readable(path):
                    path.exists()  # OSError: the name is too long
                raise UserError(f"{path} does not exist (data.{split}={name}){self._where_to_get()}")
            paths += matches
        sizes = list(map(size_of, paths))
        for path in paths:
            if path.is_dir() and self.kind_of(paths) != "folders":
                raise UserError(f"{path} is a folder (data.{split}): set data.folder={path} data.{split}=FILE")
            if not path.is_dir() and self.kind == "folders":
                raise UserError(f"{path} is a file (data.{split}); data.kind=folders needs one folder a class, with one text a file")
        if not any(sizes):
            raise UserError(f"{paths[0]} is empty (data.{split}) and must have at least one row")
        return paths

    def _where_to_get(self) -> str:
        folder = "" if self.folder != Path(".") else "; set data.folder=DIR to the folder of the files"
        return folder + (f"\nthe data is published at {self.published}" if self.published else "")

    def kind_of(self, paths: list[Path]) -> str:
        if self.kind != "auto":
            return self.kind
        if paths[0].is_dir():
            with readable(paths[0]):
                return "folders" if any(path.is_dir() for path in paths[0].iterdir()) else "text"
        kind = KINDS.get(Path(paths[0].name.lower().removesuffix(".gz")).suffix, "text")
        several = len(paths) > 1 and len(self.format.columns) > 1 and not self.pattern
        return "parallel" if kind == "text" and several else kind

    def read(self, split: str) -> Iterator[LocatedRow]:
        if split in self._separate:
            yield from self._separate[split].read(split)
            return
        paths = self.paths(split)
        kind = self.kind_of(paths)
        if kind == "parallel":
            yield from readers.read_parallel(paths, self.columns, self.encoding, check_markup=self.kind == "auto")
            return
        for path in paths:
            if path.stat().st_size:  # an empty file among others has no rows
                yield from self._read_file(path, kind, self.columns)

    def _read_file(self, path: Path, kind: str, columns: Columns) -> Iterator[LocatedRow]:
        if kind in ("csv", "tsv"):
            return Table(columns, self.encoding, kind, self.header, self.delimiter, self.quoting, self.line_break).read(path)  # type: ignore[arg-type]
        if kind in ("jsonl", "json"):
            return (read_json if kind == "json" else read_json_lines)(path, columns, self.encoding)
        if kind == "parquet":
            return read_parquet(path, columns)
        if kind == "conll":
            return Conll(columns, self.encoding, self.delimiter, self.comment, self.prefix).read(path)
        if kind == "folders":
            return read_folders(path, columns, self.encoding, self.classes)
        if self.pattern:
            return readers.read_pattern(path, columns, self.encoding, self.pattern, self.unmatched == "skip")
        if len(columns.required) > 1:
            next(lines(path, self.encoding), None)  # UserError: it is no text at all
            raise UserError(
                f"{path}: plain text has one column, and the task needs {', '.join(sorted(columns.required))}\n"
                "set data.kind=csv, tsv, jsonl or conll, or data.train=[ONE,OTHER] (parallel text), or data.pattern with named groups"
            )
        return readers.read_text(path, self._text_column, self.encoding, self.text_unit, running=self.format.stream)

    def split_note(self, split: str, sizes: Mapping[str, Mapping[str, int]]) -> str:
        """As of any source, and how many lines of its files the pattern leaves out."""
        read = split if split in self.files_of else "train"
        if read not in self._left_out:
            self._left_out[read] = self.of(read).left_out(self.paths(read))
        return "; ".join(filter(None, (super().split_note(split, sizes), self._left_out[read])))

    def left_out(self, paths: list[Path]) -> str:
        """How many lines of the files the pattern leaves out; empty where it leaves out none."""
        if not self.pattern or self.unmatched != "skip" or self.kind_of(paths) != "text":
            return ""
        counts = [readers.unmatched(path, self.encoding, self.pattern) for path in paths]
        unmatched, total = (sum(each) for each in zip(*counts, strict=True))
        return f"{unmatched:,} of {total:,} lines do not match data.pattern"

    @cached_property
    def _text_column(self) -> str:
        return next((name for name in self.columns.names if name in self.columns.required), self.columns.names[0])

    def row_size(self, row: Row) -> int:
        source = self.of("train")
        return len(row[source._text_column]) if source._is_text else 1

    def split_row(self, row: Row, at: int) -> tuple[Row, Row]:
        column = self.of("train")._text_column
        return {column: row[column][:at]}, {column: row[column][at:]}

    @cached_property
    def _is_text(self) -> bool:
        return not self.pattern and self.kind_of(self.paths("train")) == "text"
