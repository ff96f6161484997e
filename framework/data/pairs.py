"""Pairs of texts, one to be read and one to be written: what the formats of sequence-to-sequence tasks share.

Shapes: B pairs, S tokens of the source, T tokens of the target.
"""

from collections.abc import Iterable, Sequence
from random import Random
from typing import ClassVar, Literal

import torch

from framework.data.formats import Batch, Features, Format, Row, TextTokenizer, text_of, texts_of
from framework.data.padding import pad, padding_mask
from framework.data.spec import DataSpec
from framework.errors import UserError


class PairFormat(Format):
    """A source and a target, with one vocabulary for both. A subclass names its two columns, the source first.

    A target may be a list of texts that are all right: figures compare with each, the loss with the first.

    long: what happens to a text that is longer than the model reads, `truncate` it or `refuse` the row.
    """

    columns: ClassVar[tuple[str, ...]] = ("source", "target")
    optional: ClassVar[tuple[str, ...]] = ("target",)

    def __init__(self, long: Literal["truncate", "refuse"] = "truncate"):
        self.long = long

    def tokenizer_texts(self, row: Row) -> Iterable[str]:
        source, target = self.columns
        return [text_of(row, source), *texts_of(row, target)]

    def encode(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec) -> Features:
        """source, and where the row has one target: ids with the end token last. truncated: 1 if a text was cut."""
        if spec.end is None:
            raise UserError("what writes texts needs a tokenizer with an end token: without it no written text would end")
        source, target = self.columns
        wanted = {"source": (source, text_of(row, source))}
        if row.get(target) is not None:
            wanted["target"] = target, texts_of(row, target)[0]
        features: Features = {"truncated": 0}
        room = spec.max_length - 1 - len(spec.prefix)  # 1 for the end token
        for name, (column, written) in wanted.items():
            ids = tokenizer.encode(written)
            if len(ids) > room:
                if self.long == "refuse":
                    raise ValueError(
                        f"{column} has {len(ids)} tokens, the model reads {room} and an end token (model.max_length={spec.max_length}); "
                        "a larger model.max_length reads it, task.format.long=truncate cuts it"
                    )
                features["truncated"] = 1
            features[name] = [*spec.prefix, *ids[:room], spec.end]
        return features

    def length(self, features: Features) -> int:
        return max(len(features["source"]), len(features.get("target", ())))

    def collate(self, features: Sequence[Features], spec: DataSpec, random: Random) -> Batch:
        source = [row["source"] for row in features]
        begin = spec.decoder_start
        batch: Batch = {"source": pad(source, spec.padding), "source_padding_mask": padding_mask(source)}  # (B, S)
        if all("target" in row for row in features):
            labels = [row["target"] for row in features]
            batch["target"] = pad([[begin, *ids[:-1]] for ids in labels], spec.padding)  # (B, T)
            batch["labels"] = pad(labels, -100)
        else:
            batch["target"] = torch.full((len(features), 1), begin)
        return batch
