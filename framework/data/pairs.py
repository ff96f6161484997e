"""Base class of text formats for sequence-to-sequence tasks.

Shapes: B pairs, S tokens of the source, T tokens of the target.
"""

from collections.abc import Iterable, Sequence
from random import Random
from typing import ClassVar, Literal

import torch

from framework.data.formats import Batch, Features, Format, Row, TextTokenizer, text_of, texts_of
from framework.data.padding import pad, padding_mask
from framework.data.ragged import FeatureRows
from framework.data.spec import DataSpec
from framework.data.targets import IGNORED, target_places
from framework.errors import UserError


class PairFormat(Format):
    """A source text and a target text with a shared vocabulary. A subclass names its two columns, the source first.

    A target may be a list of reference texts: metrics use all of them, the loss the first.

    long: `truncate` a text longer than the model's max_length, or `refuse` its row.

    >>> list(PairFormat().tokenizer_texts({"source": "one", "target": ["eins", "ein"]}))
    ['one', 'eins', 'ein']
    """

    columns: ClassVar[tuple[str, ...]] = ("source", "target")
    makes: ClassVar[tuple[str, ...]] = ("source", "source_padding_mask", "target", "labels", "target_places")
    optional: ClassVar[tuple[str, ...]] = ("target",)

    def __init__(self, long: Literal["truncate", "refuse"] = "truncate"):
        self.long = long

    def tokenizer_texts(self, row: Row) -> Iterable[str]:
        source, target = self.columns
        return [text_of(row, source), *texts_of(row, target)]

    def encode(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec) -> Features:
        """source and, if the row has one, target: ids that end with the end token."""
        if spec.end is None:
            raise UserError("this task needs a tokenizer with an end token: tokenizer=wordpiece|bpe|unigram has one")
        source, target = self.columns
        texts = {"source": (source, text_of(row, source))}
        if row.get(target) is not None:
            texts["target"] = target, texts_of(row, target)[0]
        features: Features = {"@truncated": False}
        room = spec.max_length - 1 - len(spec.prefix)  # 1 for the end token
        for name, (column, text) in texts.items():
            ids = tokenizer.encode(text, at_least=room + 1)
            if len(ids) > room:
                if self.long == "refuse":
                    raise ValueError(
                        f"{column} has at least {len(ids)} tokens and must have at most {room} (model.max_length={spec.max_length}); "
                        "raise model.max_length, or set task.format.long=truncate"
                    )
                features["@truncated"] = True
            features[name] = [*spec.prefix, *ids[:room], spec.end]
        return features

    def length(self, features: Features) -> int:
        return max(len(features["source"]), len(features.get("target", ())))

    def target_length(self, features: Features) -> int:
        return len(features.get("target", ()))

    def collate(self, features: Sequence[Features], spec: DataSpec, random: Random) -> Batch:
        rows = FeatureRows.of(features)
        source, begin = rows.lists("source"), spec.decoder_start
        batch: Batch = {"source": pad(source, spec.padding), "source_padding_mask": padding_mask(source)}  # (B, S)
        if "target" in rows.names:
            labels = rows.lists("target")
            batch["target"] = torch.from_numpy(labels.cut(0, -1).padded(spec.padding, before=[begin]))  # (B, T)
            batch["labels"] = pad(labels, IGNORED)
            batch["target_places"] = target_places(batch["labels"])
        else:
            batch["target"] = torch.full((len(rows), 1), begin)
        return batch
