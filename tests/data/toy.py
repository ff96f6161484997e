"""Toy formats of the data tests."""

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from framework.data.formats import Batch, Features, Format, Row, TextTokenizer
from framework.data.sources.files import FilesData
from framework.data.spec import DataSpec
from framework.registry import Part


class Labeled(Format):
    """A text and its label."""

    columns = ("text", "label")
    optional = ("label",)

    def tokenizer_texts(self, row: Row) -> Iterable[str]:
        return [row["text"]]

    def fit(self, rows: Iterable[Row]) -> dict[str, Any]:
        labels = set()
        for row in rows:
            if row["label"] == "bad":
                raise ValueError("the label is bad")
            labels.add(row["label"])
        return {"labels": tuple(sorted(labels)), "rows": "counted"}

    def encode(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec) -> Features | None:
        if row["text"] == "drop":
            return None
        if row["label"] not in spec.labels:
            raise ValueError(f"label {row['label']!r} does not occur in training")
        ids = tokenizer.encode(row["text"])
        return {"ids": ids[: spec.max_length], "label": spec.labels.index(row["label"]), "@truncated": len(ids) > spec.max_length}

    def collate(self, features: Sequence[Features], spec: DataSpec, random: random.Random) -> Batch:
        import torch  # imported here, because data preparation needs no torch

        width = max(len(row["ids"]) for row in features)
        ids = torch.tensor([row["ids"] + [spec.padding] * (width - len(row["ids"])) for row in features])
        return {"ids": ids, "label": torch.tensor([row["label"] for row in features]), "draw": random.random()}

    def builtin(self, split: str, seed: int) -> Iterator[Row]:
        chance = random.Random(f"{split} {seed}")
        for _ in range(40):
            label = chance.choice(["high", "low"])
            yield {"text": f"{label} " * chance.randint(1, 9), "label": label}


class Pairs(Format):
    """A source text and its translation."""

    columns = ("source", "target")
    optional = ("target",)


class Summarized(Format):
    """A document and its summary."""

    columns = ("document", "summary")
    optional = ("summary",)


class Tagged(Format):
    """Tokens, and a tag for each."""

    columns = ("tokens", "tags")
    optional = ("tags",)


class Stream(Format):
    """Running text."""

    columns = ("text",)
    stream = True
    provides = ("stream",)

    def tokenizer_texts(self, row: Row) -> Iterable[str]:
        return [row["text"]]

    def encode(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec) -> Features | None:
        ids = tokenizer.encode(row["text"])
        return {"ids": ids, "bytes": tokenizer.byte_lengths(ids)} if ids else None

    def collate(self, features: Sequence[Features], spec: DataSpec, random: random.Random) -> Batch:
        import torch

        width = max(len(row["ids"]) for row in features) - 1
        inputs = [row["ids"][:-1] + [spec.padding] * (width + 1 - len(row["ids"])) for row in features]
        targets = [row["ids"][1:] + [-100] * (width + 1 - len(row["ids"])) for row in features]
        return {"ids": torch.tensor(inputs), "targets": torch.tensor(targets)}


def files(format: Format | None = None, batches: Part | None = None, **values: Any) -> FilesData:
    """A source of files, made as the builder makes it."""
    return FilesData(format or Labeled(), seed=0, batches=batches or Part("batches/rows", rows=4), **values)
