"""A task from outside: write a word backwards."""

from collections.abc import Iterable, Iterator, Sequence
from random import Random

import torch
from torch import Tensor

from framework import Batch, DataSpec, Features, Format, Row, SequenceToSequence, TextTokenizer, choice, register, text_of


@register("format")
class ReversalFormat(Format):
    """A word and the same word backwards."""

    columns = ("text", "backwards")
    optional = ("backwards",)
    makes = ("source", "source_padding_mask", "target", "labels")

    def tokenizer_texts(self, row: Row) -> Iterable[str]:
        return [text_of(row)]

    def encode(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec) -> Features:
        columns = {"source": "text", "labels": "backwards"}
        return {
            name: [*tokenizer.encode(text_of(row, column)), spec.end] for name, column in columns.items() if row.get(column) is not None
        }

    def length(self, features: Features) -> int:
        return len(features["source"])

    def collate(self, features: Sequence[Features], spec: DataSpec, random: Random) -> Batch:
        source = pad([row["source"] for row in features], spec.padding)  # (B, S)
        lengths = torch.tensor([len(row["source"]) for row in features])
        batch: Batch = {"source": source, "source_padding_mask": torch.arange(source.shape[1]) < lengths[:, None]}
        labels = [row.get("labels", []) for row in features]
        batch["target"] = pad([[spec.begin, *ids[:-1]] for ids in labels], spec.padding)  # (B, T)
        if all(labels):
            batch["labels"] = pad(labels, -100)
        return batch

    def builtin(self, split: str, seed: int) -> Iterator[Row]:
        random = Random(f"{split} {seed}")
        for _ in range(64 if split == "train" else 16):
            word = "".join(random.choices("abcdef", k=random.randint(2, 6)))
            yield {"text": word, "backwards": word[::-1]}


def pad(rows: Sequence[Sequence[int]], filler: int) -> Tensor:
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[filler] * (longest - len(row))] for row in rows])


@register("task")
class ReversalTask(SequenceToSequence):
    """Words written backwards."""

    format = choice("format", "reversal")
    input, reference = "text", "backwards"
