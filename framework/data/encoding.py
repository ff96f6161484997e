"""Encoded rows on disk: written one by one and read through memory maps, so a corpus need not fit into memory."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from framework.data import cache
from framework.data.features import FeatureReader, FeatureWriter, append, mapped, start_of
from framework.data.fingerprints import code_of, digest, values_of
from framework.data.formats import Features, Format, Row
from framework.data.ragged import FeatureRows, Numbers
from framework.data.sources.base import Source, error_context
from framework.data.spec import DataSpec
from framework.data.tokenization.tokenizer import Tokenizer
from framework.data.tokenization.unknown import CountingTokenizer
from framework.errors import UserError
from framework.registry import nearest

LENGTHS = "lengths"
FEATURES = "features"
STORAGE = 4  # version of the files


class Encoded:
    """The memory-mapped encoded rows of a split.

    lengths: number of tokens of each row. dropped: number of rows that the text format dropped. counts: sums of the counts of all rows, of
    `truncated` rows and of `unknown` tokens. remarks: sentences about the split. labels: how often the rows have each label
    (`Format.row_labels`).
    """

    def __init__(self, folder: Path):
        description = json.loads((folder / "description.json").read_text(encoding="utf-8"))
        self.folder, self.rows = folder, description["rows"]
        self.dropped, self.counts, self.remarks = description["dropped"], Counter(description["counts"]), description["remarks"]
        self.labels: dict[str, int] = description["labels"]
        self.lengths: Numbers = mapped(folder / LENGTHS, "int64")
        self.features = {name: FeatureReader(folder / FEATURES, name, **each) for name, each in description["features"].items()}
        self._raw_ends = mapped(folder / "raw.ends", "int64") if (folder / "raw.ends").exists() else None

    def __reduce__(self) -> tuple[type["Encoded"], tuple[Path]]:
        """Pickled as its folder: a pickled memory map would hold all data, so a worker process maps the files itself."""
        return Encoded, (self.folder,)

    def __len__(self) -> int:
        return int(self.rows)

    def __getitem__(self, row: int) -> Features:
        return {name: values[row] for name, values in self.features.items()}

    def batch(self, rows: Numbers) -> FeatureRows:
        """The features of several rows (B,), read where they are used."""
        return FeatureRows(len(rows), tuple(self.features), lambda name: self.features[name].column(rows))

    @property
    def raw_checksum(self) -> int | None:
        """Checksum of the rows as the source read them, in evaluation splits."""
        return cache.checksums(self.folder).get("raw.jsonl")

    def raw(self, row: int) -> Row:
        """The row as the source read it, in evaluation splits."""
        assert self._raw_ends is not None, "only evaluation splits keep raw rows"
        start = start_of(self._raw_ends, row)
        with (self.folder / "raw.jsonl").open("rb") as file:
            file.seek(start)
            return dict(json.loads(file.read(int(self._raw_ends[row]) - start)))


def encode(source: Source, split: str, format: Format, tokenizer: Tokenizer, spec: DataSpec) -> Encoded:
    """The encoded split, from the cache if its source, text format, tokenizer and data spec are unchanged."""
    key = [source.fingerprint(split), values_of(format), code_of(format), tokenizer.to_json(), values_of(spec), split, STORAGE]

    def write(folder: Path) -> None:
        counting = CountingTokenizer(tokenizer, spec.unknown)
        with Writer(folder, keep_raw=split != "train") as writer:
            for row, where in source.rows(split):
                with error_context(where):
                    features, labels = format.encode(row, counting, spec), format.row_labels(row)
                    if split == "train" or format.unseen_labels == "refuse":
                        check_seen(labels, spec)
                    writer.add(row, features, format, where, labels)
            with error_context(f"data.{split}"):
                writer.remarks = [*format.remarks(split, writer.counts, writer.first), *counting.remarks()]
            writer.counts["unknown"] = counting.unknown
        if not writer.rows:
            raise UserError(f"data.{split} has no rows left: {type(format).__name__} dropped all {writer.dropped}")

    return Encoded(cache.entry("encoded", digest(key), write))


def check_seen(labels: Sequence[str], spec: DataSpec) -> None:
    """ValueError: a label is not among those of the training rows."""
    for label in labels if spec.labels else ():
        if label not in spec.labels:
            known = ", ".join(map(repr, spec.labels[:12])) + (f" and {len(spec.labels) - 12} more" if len(spec.labels) > 12 else "")
            raise ValueError(f"label {label!r} does not occur in the training rows{nearest(label, spec.labels)}; they have {known}")


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

    def _file(self, name: str) -> BinaryIO:
        if name not in self.files:
            self.files[name] = (self.folder / name).open("wb")
        return self.files[name]


def without_marks(features: Features) -> tuple[Features, dict[str, int]]:
    """The features of a row without the marks `@truncated` and `@counts`, and the counts, `truncated` among them."""
    counts = {**features.get("@counts", {}), "truncated": bool(features.get("@truncated", False))}
    return {name: value for name, value in features.items() if name not in ("@truncated", "@counts")}, counts
