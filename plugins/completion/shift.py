"""Batches of language modeling: input tokens, their successors, and the words that these stand for.

Shapes: B batch, T tokens.
"""

import re
from collections.abc import Sequence

import numpy as np
import torch

from framework import IGNORED, Batch, DataSpec, FeatureRows, Features, Ragged, pad, target_places

_WORD_OR_LINE_END = re.compile(r"\S+|\n")


SHIFTED = ("ids", "following", "targets", "target_places", "size", "bytes", "words")


def shifted(features: Sequence[Features], spec: DataSpec) -> Batch:
    """Tokens and their successors, (B, T), padded on the right, where a causal model needs no mask. A row of T + 1 tokens has T targets;
    a row of one token has none, and stays as it is.

    ids: inputs. following: their successors; targets: those with a loss (`@counted`, of all rows or of none), the others ignored;
    target_places (N,): where they are.
    bytes, words: of the targets, where the rows have them. size (B,): tokens of each row. documents: the document of each token, where a
    row has several.
    """
    rows = FeatureRows.of(features)
    ids = rows.lists("ids")
    width = max(1, int(ids.lengths.max()) - 1)
    following = pad(ids.cut(1), spec.padding, width)
    counted = None if int(ids.lengths.min()) > width else pad(ids.cut(1), -1, width) >= 0  # (B, T); None: every token
    if "@counted" in rows.names:
        marked = pad(rows.lists("@counted").cut(1), 0, width) > 0
        counted = marked if counted is None else marked & counted
    batch: Batch = {
        "ids": pad(_inputs(ids), spec.padding, width),
        "following": following,
        "targets": following if counted is None else following.masked_fill(~counted, IGNORED),
        "size": torch.from_numpy(ids.lengths),
    }
    batch["target_places"] = target_places(batch["targets"])
    for name in ("bytes", "words"):
        if name in rows.names:
            batch[name] = pad(rows.lists(name).cut(1), 0, width) * (1 if counted is None else counted)
    if "@documents" in rows.names:
        documents = _inputs(rows.lists("@documents")).padded(-1, width)
        if (documents > 0).any():  # else the causal mask is enough
            batch["documents"] = torch.from_numpy(documents)
    return batch


def _inputs(rows: Ragged) -> Ragged:
    """All numbers of a row but the last; of a row of one number that one."""
    return Ragged(rows.values, rows.starts, np.maximum(rows.lengths - 1, 1), rows.dtype)


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
