"""One text in, one label out: the rows of classification."""

from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import Any, Literal

import torch
from torch import Tensor

from framework.data.facts import Facts
from framework.data.formats import Batch, Features, Format, Row, Text
from framework.registry import register

from .baseline import NaiveBayes, figures
from .builtin import rows


@register("format")
class ClassificationFormat(Format):
    """A text and its label.

    long: what to do with a text of more tokens than the model reads: cut its end off, or refuse it.
    """

    columns = ("text", "label")
    optional = ("label",)

    def __init__(self, long: Literal["truncate", "refuse"] = "truncate"):
        self.long = long

    def texts(self, row: Row) -> Iterable[str]:
        yield _text(row)

    def learn(self, rows: Iterable[Row]) -> dict[str, Any]:
        labels = tuple(sorted({_label(row) for row in rows}))
        if len(labels) < 2:
            raise ValueError(f"to tell labels apart there must be two at least; the training rows have {_listed(labels)}")
        return {"labels": labels}

    def encode(self, row: Row, tokenizer: Text, facts: Facts) -> Features:
        """ids: begin, tokens, end, at most facts.max_length. truncated: 1 if the text was cut. label: if the row has one."""
        begin = [] if facts.begin is None else [facts.begin]
        end = [] if facts.end is None else [facts.end]
        tokens = tokenizer.encode(_text(row))
        room = facts.max_length - len(begin) - len(end)
        if len(tokens) > room and self.long == "refuse":
            raise ValueError(
                f"the text has {len(tokens)} tokens, the model reads {room} (model.max_length={facts.max_length}); "
                "a larger model.max_length reads it, task.format.long=truncate cuts it"
            )
        ids = begin + tokens[:room] + end
        if not ids:
            raise ValueError("the text is empty")
        features: Features = {"ids": ids, "truncated": int(len(tokens) > room)}
        if row.get("label") is not None:
            label = _label(row)
            if label not in facts.labels:
                raise ValueError(f"label {label!r} does not occur in the training rows; they have {_listed(facts.labels)}")
            features["label"] = facts.labels.index(label)
        return features

    def collate(self, features: Sequence[Features], facts: Facts, random: Random) -> Batch:
        lengths = torch.tensor([len(row["ids"]) for row in features])
        longest = int(lengths.max())
        ids = torch.full((len(features), longest), facts.padding)  # (B, T)
        for row, into in zip(features, ids, strict=True):
            into[: len(row["ids"])] = torch.tensor(row["ids"])
        real: Tensor | None = None if int(lengths.min()) == longest else torch.arange(longest) < lengths[:, None]  # (B, T)
        batch: Batch = {"ids": ids, "real": real}
        if all("label" in row for row in features):
            batch["label"] = torch.tensor([row["label"] for row in features])  # (B,)
        return batch

    def builtin(self, split: str, seed: int) -> Iterator[Row]:
        """Docstrings and functions of Python's standard library, by package. The split does not depend on the seed."""
        return rows(split)

    def baseline(self, train: Iterable[Row], test: Iterable[Row]) -> dict[str, float]:
        """Naive Bayes on words and word pairs."""
        classify = NaiveBayes((_text(row), _label(row)) for row in train)
        pairs = [(classify(_text(row)), _label(row)) for row in test]
        return figures([predicted for predicted, _ in pairs], [expected for _, expected in pairs])


def _text(row: Row) -> str:
    text = row["text"]
    if not isinstance(text, str):
        raise ValueError(f"the text is {text!r}, of type {type(text).__name__}")
    return text


def _label(row: Row) -> str:
    """Labels are names: 1 in a table and "1" in a text file are the same label."""
    label = row.get("label")
    if label is None or str(label) == "":
        raise ValueError("the row has no label")
    return str(label)


def _listed(labels: Sequence[str], most: int = 12) -> str:
    names = ", ".join(repr(label) for label in labels[:most]) or "none"
    return f"{names} and {len(labels) - most} more" if len(labels) > most else names
