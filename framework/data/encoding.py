"""Encoded rows on disk: written one by one and read through memory maps, so a corpus need not fit into memory."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from framework.data import cache
from framework.data.fingerprints import code_of, digest, values_of
from framework.data.formats import Features, Format, Row
from framework.data.sources.base import Source, error_context
from framework.data.spec import DataSpec
from framework.data.tokenization.tokenizer import Tokenizer
from framework.errors import UserError

TOKENS = "tokens"  # kind of a feature that is a list of ints; the other kinds are names of number types
LENGTHS = "lengths"


class Encoded:
    """The memory-mapped encoded rows of a split.

    lengths: number of tokens of each row. dropped, truncated: number of rows that the text format dropped or truncated.
    """

    def __init__(self, folder: Path):
        description = json.loads((folder / "description.json").read_text(encoding="utf-8"))
        self.folder, self.rows = folder, description["rows"]
        self.dropped, self.truncated = description["dropped"], description["truncated"]
        self.kinds: dict[str, str] = description["features"]
        self.lengths: NDArray[np.int64] = _map(folder / LENGTHS, np.int64)
        self._values = {name: _map(folder / f"{name}.values", _dtype(kind)) for name, kind in self.kinds.items()}
        self.ends = {name: _map(folder / f"{name}.ends", np.int64) for name, kind in self.kinds.items() if kind == TOKENS}
        self._raw_ends = _map(folder / "raw.ends", np.int64) if (folder / "raw.ends").exists() else None

    def __reduce__(self) -> tuple[type["Encoded"], tuple[Path]]:
        """Pickled as its folder: a pickled memory map would hold all data, so a worker process maps the files itself."""
        return Encoded, (self.folder,)

    def __len__(self) -> int:
        return int(self.rows)

    def __getitem__(self, row: int) -> Features:
        features: Features = {}
        for name, kind in self.kinds.items():
            ends = self.ends.get(name)
            features[name] = self._values[name][row].item() if ends is None else self.tokens(name, _start(ends, row), int(ends[row]))
            if kind == "bool":
                features[name] = bool(features[name])
        return features

    def tokens(self, name: str, start: int, stop: int) -> list[int]:
        """Values of a feature at token positions [start, stop) of all rows in sequence."""
        return list(self._values[name][start:stop].tolist())

    def raw(self, row: int) -> Row:
        """The row as the source read it, in evaluation splits."""
        assert self._raw_ends is not None, "only evaluation splits keep raw rows"
        start = _start(self._raw_ends, row)
        with (self.folder / "raw.jsonl").open("rb") as file:
            file.seek(start)
            return dict(json.loads(file.read(int(self._raw_ends[row]) - start)))


def encode(source: Source, split: str, format: Format, tokenizer: Tokenizer, spec: DataSpec) -> Encoded:
    """The encoded split, from the cache if its source, text format, tokenizer and data spec are unchanged."""
    key = [source.fingerprint(split), values_of(format), code_of(format), tokenizer.to_json(), values_of(spec), split]

    def write(folder: Path) -> None:
        with ExitStack() as files:
            writer = Writer(folder, files, keep_raw=split != "train")
            for row, where in source.rows(split):
                with error_context(where):
                    writer.add(row, format.encode(row, tokenizer, spec), format)
        if not writer.rows:
            raise UserError(f"data.{split} has no rows left: {type(format).__name__} dropped all {writer.dropped}")
        description = {"rows": writer.rows, "dropped": writer.dropped, "truncated": writer.truncated, "features": writer.kinds}
        (folder / "description.json").write_text(json.dumps(description), encoding="utf-8")

    return Encoded(cache.entry("encoded", digest(key), write))


class Writer:
    """Appends encoded rows to files: `NAME.values`, and for lists `NAME.ends`, the end of each row in the values.

    stack: closes the files.
    """

    def __init__(self, folder: Path, stack: ExitStack, keep_raw: bool):
        self.folder, self.stack, self.keep_raw = folder, stack, keep_raw
        self.rows = self.dropped = self.truncated = self.raw_end = 0
        self.kinds: dict[str, str] = {}
        self.ends: dict[str, int] = {}
        self.files: dict[str, BinaryIO] = {}

    def add(self, row: Row, features: Features | None, format: Format) -> None:
        """Append a row; None counts it as dropped. The feature `truncated` is counted and not stored."""
        if features is None:
            self.dropped += 1
            return
        length = format.length(features)
        features = dict(features)
        self.truncated += bool(features.pop("truncated", False))
        kinds = {name: TOKENS if isinstance(value, list) else type(value).__name__ for name, value in features.items()}
        self.kinds = self.kinds or kinds
        if kinds.keys() != self.kinds.keys():
            names = ", ".join(sorted(kinds.keys() ^ self.kinds.keys()))
            raise ValueError(f"this row {'lacks' if len(kinds) < len(self.kinds) else 'has'} {names}, unlike the rows before it")
        assert kinds == self.kinds, f"{type(format).__name__}.encode returned {kinds} for a row and {self.kinds} for the rows before"
        for name, value in features.items():
            if isinstance(value, list):
                _append(self._file(f"{name}.values"), value, np.int32)
                self.ends[name] = self.ends.get(name, 0) + len(value)
                _append(self._file(f"{name}.ends"), [self.ends[name]], np.int64)
            else:
                _append(self._file(f"{name}.values"), [value], _dtype(kinds[name]))
        _append(self._file(LENGTHS), [length], np.int64)
        if self.keep_raw:
            line = json.dumps(row, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass") + b"\n"
            self._file("raw.jsonl").write(line)
            self.raw_end += len(line)
            _append(self._file("raw.ends"), [self.raw_end], np.int64)
        self.rows += 1

    def _file(self, name: str) -> BinaryIO:
        if name not in self.files:
            self.files[name] = self.stack.enter_context((self.folder / name).open("wb"))
        return self.files[name]


def _start(ends: NDArray[np.int64], row: int) -> int:
    return int(ends[row - 1]) if row else 0


def _dtype(kind: str) -> type:
    assert kind in (TOKENS, "int", "bool", "float"), f"a feature must be a list of ints, an int or a float, and this one is a {kind}"
    return np.int32 if kind == TOKENS else np.float64 if kind == "float" else np.int64


def _append(file: BinaryIO, values: list[Any], dtype: type) -> None:
    file.write(np.array(values, dtype=dtype).tobytes())


def _map(path: Path, dtype: type) -> NDArray[Any]:
    """A read-only memory map; an empty file cannot be mapped."""
    return np.memmap(path, dtype=dtype, mode="r") if path.stat().st_size else np.empty(0, dtype=dtype)
