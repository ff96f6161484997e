"""Batches of language modeling: input tokens, their successors, and the words that these stand for.

Shapes: B batch, T tokens.
"""

import re
from collections.abc import Sequence

import numpy as np
import torch

from framework import IGNORED, Batch, DataSpec, Features, pad

_WORD_OR_LINE_END = re.compile(r"\S+|\n")


SHIFTED = ("ids", "following", "targets", "size", "bytes", "words")


def shifted(features: Sequence[Features], spec: DataSpec) -> Batch:
    """Tokens and their successors, (B, T), padded on the right, where a causal model needs no mask. A row of T + 1 tokens has T targets;
    a row of one token has none, and stays as it is.

    ids: inputs. following: their successors; targets: those with a loss (`@counted`), the others ignored.
    bytes, words: of the targets. size (B,): tokens of each row. documents: the document of each token, where a row has several.
    """
    width = max(1, *(len(row["ids"]) - 1 for row in features))
    following = pad([row["ids"][1:] for row in features], spec.padding, width)
    counted = pad([row["@counted"][1:] if "@counted" in row else [1] * (len(row["ids"]) - 1) for row in features], 0, width)
    batch: Batch = {
        "ids": pad([row["ids"][:-1] or row["ids"] for row in features], spec.padding, width),
        "following": following,
        "targets": following.masked_fill(counted == 0, IGNORED),
        "size": torch.tensor([len(row["ids"]) for row in features]),
    }
    for name in ("bytes", "words"):
        batch[name] = pad([row[name][1:] for row in features], 0, width) * counted
    if any("@documents" in row and row["@documents"][-2:][0] for row in features):  # else the causal mask is enough
        batch["documents"] = pad([row["@documents"][:-1] or row["@documents"] for row in features], -1, width)
    return batch


def words_of(text: str, offsets: Sequence[tuple[int, int]]) -> list[int]:
    """The number of words that begin in each token. offsets: its characters, from and to.

    Words are separated by blanks, and every line end is a word: the `<eos>` of published results on wikitext-2. Words in no token, such
    as line ends that a tokenizer drops, count for the last token, so that the sum is always that of the text.
    """
    begins = np.array([match.start() for match in _WORD_OR_LINE_END.finditer(text)], dtype=np.int64)
    reached = np.maximum.accumulate(np.array([end for _, end in offsets], dtype=np.int64))
    before = np.searchsorted(begins, reached)  # words that begin before the end of each token
    before[-1:] = len(begins)
    return list(np.diff(before, prepend=0).tolist())
