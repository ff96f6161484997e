"""Encoded rows on disk: written one by one and read through memory maps, so a corpus need not fit into memory."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, islice
from pathlib import Path

from framework.data import cache
from framework.data.encoding_processes import ALONE, CHUNK, Encoders, chunks_of, processes_to_use
from framework.data.encoding_writer import FEATURES, LENGTHS, EncodedPart, Writer
from framework.data.feature_reader import FeatureReader, mapped, start_of
from framework.data.fingerprints import code_of, digest, values_of
from framework.data.formats import Features, Format, Row
from framework.data.ragged import FeatureRows, Numbers
from framework.data.sources.base import LocatedRow, Source, error_context
from framework.data.spec import DataSpec
from framework.data.tokenization.tokenizer import Tokenizer
from framework.data.tokenization.unknown import CountingTokenizer, UnknownTokens
from framework.errors import UserError
from framework.registry import nearest
from framework.utils.phases import phase

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

    @property
    def fingerprint(self) -> str:
        """A hash of the encoded rows: the same wherever the same rows were encoded in the same way."""
        return digest(sorted(cache.checksums(self.folder).items()))

    def raw(self, row: int) -> Row:
        """The row as the source read it, in evaluation splits."""
        assert self._raw_ends is not None, "only evaluation splits keep raw rows"
        start = start_of(self._raw_ends, row)
        with (self.folder / "raw.jsonl").open("rb") as file:
            file.seek(start)
            return dict(json.loads(file.read(int(self._raw_ends[row]) - start)))


def encode(source: Source, split: str, format: Format, tokenizer: Tokenizer, spec: DataSpec) -> Encoded:
    """The encoded split, from the cache if its source, text format, tokenizer and data spec are unchanged."""
    fingerprint = source.fingerprint(split)
    key = [fingerprint, values_of(format), code_of(format), tokenizer.to_json(), values_of(spec), split, STORAGE]

    def encode_chunk(rows: Iterable[LocatedRow], writer: Writer, counting: CountingTokenizer) -> None:
        for row, where in rows:
            with error_context(where):
                features, labels = format.encode(row, counting, spec), format.row_labels(row)
                if split == "train" or format.unseen_labels == "refuse":
                    check_seen(labels, spec)
                writer.add(row, features, format, where, labels)

    def encode_into(rows: list[LocatedRow], folder: Path) -> tuple[EncodedPart, UnknownTokens]:
        counting = CountingTokenizer(tokenizer, spec.unknown)
        with Writer(folder, keep_raw=split != "train") as writer:
            encode_chunk(rows, writer, counting)
        return writer.part(), counting.found

    def write(folder: Path) -> None:
        counting = CountingTokenizer(tokenizer, spec.unknown)
        with Writer(folder, keep_raw=split != "train") as writer:
            chunks = chunks_of(encoding.counted(source.rows(split), like=digest([fingerprint])), CHUNK)
            for chunk in islice(chunks, ALONE):
                encode_chunk(chunk, writer, counting)
            if (processes := processes_to_use()) > 1 and (following := next(chunks, None)) is not None:
                with Encoders(encode_into, processes, folder) as encoders:
                    for chunk, place, encoded in encoders(chain([following], chunks)):
                        if encoded is None or not writer.takes(encoded[0]):
                            encode_chunk(chunk, writer, counting)
                        else:
                            writer.extend(place, encoded[0])
                            counting.found += encoded[1]
            for chunk in chunks:
                encode_chunk(chunk, writer, counting)
            with error_context(f"data.{split}"):
                writer.remarks = [*format.remarks(split, writer.counts, writer.first), *counting.remarks()]
            writer.counts["unknown"] = counting.found.tokens
        if not writer.rows:
            raise UserError(f"data.{split} has no rows left: {type(format).__name__} dropped all {writer.dropped}")

    with phase(f"encoding {split}") as encoding:
        return Encoded(cache.entry("encoded", digest(key), write))


def check_seen(labels: Sequence[str], spec: DataSpec) -> None:
    """ValueError: a label is not among those of the training rows."""
    for label in labels if spec.labels else ():
        if label not in spec.labels:
            known = ", ".join(map(repr, spec.labels[:12])) + (f" and {len(spec.labels) - 12} more" if len(spec.labels) > 12 else "")
            raise ValueError(f"label {label!r} does not occur in the training rows{nearest(label, spec.labels)}; they have {known}")
