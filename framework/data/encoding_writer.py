"""Files of encoded rows, appended row by row, or by the files of other rows."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from framework.data.feature_reader import mapped
from framework.data.features import FeaturePart, FeatureWriter, append
from framework.data.formats import Features, Format, Row

LENGTHS = "lengths"
FEATURES = "features"


@dataclass
class EncodedPart:
    """Rows that another `Writer` has written: their number, what it counted, and the files of its features."""

    rows: int
    dropped: int
    counts: Counter[str]
    labels: Counter[str]
    first: dict[str, str]
    features: dict[str, FeaturePart]


class Writer:
    """Appends encoded rows to files."""

    def __init__(self, folder: Path, keep_raw: bool):
        self.folder, self.keep_raw = folder, keep_raw
        self.rows = self.dropped = self.raw_end = 0
        self.counts: Counter[str] = Counter()
        self.labels: Counter[str] = Counter()
        self.first: dict[str, str] = {}  # name of a count -> file and place of the first row with it
        self.remarks: list[str] = []
        self.features: dict[str, FeatureWriter] = {}
        self.files: dict[str, BinaryIO] = {}

    def __enter__(self) -> "Writer":
        (self.folder / FEATURES).mkdir()
        self._file(LENGTHS)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        for file in self.files.values():
            file.close()
        labels = dict(sorted(self.labels.items()))
        description = {"rows": self.rows, "dropped": self.dropped, "counts": self.counts, "remarks": self.remarks, "labels": labels}
        features = {name: writer.close() for name, writer in self.features.items()}
        if kind is None:
            (self.folder / "description.json").write_text(json.dumps({**description, "features": features}), encoding="utf-8")

    def add(self, row: Row, features: Features | None, format: Format, where: str = "", labels: Sequence[str] = ()) -> None:
        """Append a row and count its labels; None counts it as dropped. where: of the row.

        ValueError: a feature is none, or unlike that of the rows before."""
        if features is None:
            self.dropped += 1
            return
        features, counts = without_marks(features)
        if not self.rows:
            self.features = {name: FeatureWriter(self.folder / FEATURES, name) for name in features}
        if features.keys() != self.features.keys():
            names = ", ".join(sorted(features.keys() ^ self.features.keys()))
            raise ValueError(f"this row {'lacks' if len(features) < len(self.features) else 'has'} {names}, unlike the rows before it")
        for name, value in features.items():
            self.features[name].add(value)
        self.labels.update(labels)
        for name, count in counts.items():
            self.counts[name] += count
            if count:
                self.first.setdefault(name, where.rpartition("/")[2])
        append(self._file(LENGTHS), [format.length(features)], "int64")
        if self.keep_raw:
            line = json.dumps(row, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass") + b"\n"
            self._file("raw.jsonl").write(line)
            self.raw_end += len(line)
            append(self._file("raw.ends"), [self.raw_end], "int64")
        self.rows += 1

    def part(self) -> EncodedPart:
        """The description by which another writer appends these rows."""
        features = {name: writer.part() for name, writer in self.features.items()}
        return EncodedPart(self.rows, self.dropped, self.counts, self.labels, self.first, features)

    def takes(self, part: EncodedPart) -> bool:
        """Whether `add` would take every row of a part after those that are here."""
        if not self.rows or not part.rows:
            return True
        known = self.features.keys() == part.features.keys()
        return known and all(writer.takes(part.features[name]) for name, writer in self.features.items())

    def extend(self, folder: Path, part: EncodedPart) -> None:
        """Append the rows that another writer has written into a folder, and that `takes` accepts."""
        if part.rows and not self.rows:
            self.features = {name: FeatureWriter(self.folder / FEATURES, name) for name in part.features}
        for name in part.features:
            self.features[name].extend(folder / FEATURES / name, part.features[name])
        self._file(LENGTHS).write((folder / LENGTHS).read_bytes())
        if self.keep_raw and part.rows:
            self._file("raw.jsonl").write((folder / "raw.jsonl").read_bytes())
            ends = mapped(folder / "raw.ends", "int64") + self.raw_end
            append(self._file("raw.ends"), ends, "int64")
            self.raw_end = int(ends[-1])
        self.rows, self.dropped = self.rows + part.rows, self.dropped + part.dropped
        self.labels.update(part.labels)
        for name, count in part.counts.items():
            self.counts[name] += count
        self.first = {**part.first, **self.first}

    def _file(self, name: str) -> BinaryIO:
        if name not in self.files:
            self.files[name] = (self.folder / name).open("wb")
        return self.files[name]


def without_marks(features: Features) -> tuple[Features, dict[str, int]]:
    """The features of a row without the marks `@truncated` and `@counts`, and the counts, `truncated` among them."""
    counts = {**features.get("@counts", {}), "truncated": bool(features.get("@truncated", False))}
    return {name: value for name, value in features.items() if name not in ("@truncated", "@counts")}, counts
