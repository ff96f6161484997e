"""Rows as numbers on disk: written row by row, read by memory map, so that no corpus has to fit into memory."""

import json
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

TOKENS = "tokens"  # the kind of a feature that is a list of ints; other kinds are the names of number types
LENGTHS = "lengths"


class Encoded:
    """The encoded rows of a split, memory-mapped.

    lengths: what each row costs in a batch. dropped, truncated: rows that the format left out or shortened.
    """

    def __init__(self, folder: Path):
        description = json.loads((folder / "description.json").read_text(encoding="utf-8"))
        self.folder, self.rows = folder, description["rows"]
        self.dropped, self.truncated = description["dropped"], description["truncated"]
        self.kinds: dict[str, str] = description["features"]
        self.lengths: NDArray[np.int64] = _map(folder / LENGTHS, np.int64)
        self._values = {name: _map(folder / f"{name}.values", _number(kind)) for name, kind in self.kinds.items()}
        self.ends = {name: _map(folder / f"{name}.ends", np.int64) for name, kind in self.kinds.items() if kind == TOKENS}
        self._raw_ends = _map(folder / "raw.ends", np.int64) if (folder / "raw.ends").exists() else None

    def __reduce__(self) -> tuple[type["Encoded"], tuple[Path]]:
        """A worker started anew maps the files itself: a memory map would be sent as all it holds."""
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
        """Tokens of the running text of all rows."""
        return list(self._values[name][start:stop].tolist())

    def raw(self, row: int) -> Row:
        """The row as the source read it; kept for evaluation splits."""
        assert self._raw_ends is not None, "raw rows are kept for evaluation splits alone"
        start = _start(self._raw_ends, row)
        with (self.folder / "raw.jsonl").open("rb") as file:
            file.seek(start)
            return dict(json.loads(file.read(int(self._raw_ends[row]) - start)))


def encode(source: Source, split: str, format: Format, tokenizer: Tokenizer, spec: DataSpec) -> Encoded:
    """The split as numbers, from the cache if everything that makes it is the same."""
    made_by = [source.fingerprint(split), values_of(format), code_of(format), tokenizer.to_json(), values_of(spec), split]

    def write(folder: Path) -> None:
        with Writer(folder, keep_raw=split != "train") as writer:
            for row, where in source.rows(split):
                with error_context(where):
                    writer.add(row, format.encode(row, tokenizer, spec), format)
        if not writer.rows:
            raise UserError(f"the {split} part has no rows (data.{split}); {type(format).__name__} dropped {writer.dropped}")

    return Encoded(cache.entry("encoded", digest(made_by), write))


class Writer:
    """Writes features as they come: for a list its values and where each row ends, for a number its value."""

    def __init__(self, folder: Path, keep_raw: bool):
        self.folder, self.keep_raw = folder, keep_raw
        self.rows = self.dropped = self.truncated = self.raw_end = 0
        self.kinds: dict[str, str] = {}
        self.ends: dict[str, int] = {}
        self.files: dict[str, BinaryIO] = {}

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        for file in self.files.values():
            file.close()
        if kind is None:
            if not self.rows:
                _number_bytes(self._file(LENGTHS), [], np.int64)
            described = {"rows": self.rows, "dropped": self.dropped, "truncated": self.truncated, "features": self.kinds}
            (self.folder / "description.json").write_text(json.dumps(described), encoding="utf-8")

    def add(self, row: Row, features: Features | None, format: Format) -> None:
        """None: the format dropped the row. A number named `truncated` is counted and not kept."""
        if features is None:
            self.dropped += 1
            return
        length = format.length(features)
        features = dict(features)
        self.truncated += bool(features.pop("truncated", False))
        kinds = {name: TOKENS if isinstance(value, list) else type(value).__name__ for name, value in features.items()}
        self.kinds = self.kinds or kinds
        if kinds.keys() != self.kinds.keys():
            odd = ", ".join(sorted(kinds.keys() ^ self.kinds.keys()))
            raise ValueError(f"this row {'lacks' if len(kinds) < len(self.kinds) else 'has'} {odd}, unlike those before it")
        assert kinds == self.kinds, f"{type(format).__name__}.encode gave {kinds} for a row and {self.kinds} for those before"
        for name, value in features.items():
            if isinstance(value, list):
                _number_bytes(self._file(f"{name}.values"), value, np.int32)
                self.ends[name] = self.ends.get(name, 0) + len(value)
                _number_bytes(self._file(f"{name}.ends"), [self.ends[name]], np.int64)
            else:
                _number_bytes(self._file(f"{name}.values"), [value], _number(kinds[name]))
        _number_bytes(self._file(LENGTHS), [length], np.int64)
        if self.keep_raw:
            line = json.dumps(row, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass") + b"\n"
            self._file("raw.jsonl").write(line)
            self.raw_end += len(line)
            _number_bytes(self._file("raw.ends"), [self.raw_end], np.int64)
        self.rows += 1

    def _file(self, name: str) -> BinaryIO:
        if name not in self.files:
            self.files[name] = (self.folder / name).open("wb")
        return self.files[name]


def _start(ends: NDArray[np.int64], row: int) -> int:
    return int(ends[row - 1]) if row else 0


def _number(kind: str) -> type:
    assert kind in (TOKENS, "int", "bool", "float"), f"a feature is a list of ints, an int or a float; this one is a {kind}"
    return np.int32 if kind == TOKENS else np.float64 if kind == "float" else np.int64


def _number_bytes(file: BinaryIO, values: list[Any], dtype: type) -> None:
    file.write(np.array(values, dtype=dtype).tobytes())


def _map(path: Path, dtype: type) -> NDArray[Any]:
    """A read-only memory map; an empty file cannot be mapped."""
    return np.memmap(path, dtype=dtype, mode="r") if path.stat().st_size else np.empty(0, dtype=dtype)
