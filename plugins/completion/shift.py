"""From tokens to what is read and what is to be predicted.

Shapes: B batch, T tokens.
"""

from collections.abc import Sequence

import torch

from framework.data.formats import Batch, Features
from framework.data.padding import pad
from framework.data.spec import DataSpec
from framework.tasks.cross_entropy import IGNORED


def shifted(features: Sequence[Features], spec: DataSpec) -> Batch:
    """Each token beside the one after it, (B, T), padded on the right, where a causal model needs no mask. A row of T + 1 tokens
    has T targets; a row of one token has none, and stands as it is.

    ids: what is read. following: the tokens after; targets: those of them that are to be predicted (`counted`), the others ignored.
    bytes, words: of the targets. size (B,): tokens of each row. documents: where one row holds several.
    """
    width = max(1, *(len(row["ids"]) - 1 for row in features))
    following = pad([row["ids"][1:] for row in features], spec.padding, width)
    counted = pad([row["counted"][1:] if "counted" in row else [1] * (len(row["ids"]) - 1) for row in features], 0, width)
    batch: Batch = {
        "ids": pad([row["ids"][:-1] or row["ids"] for row in features], spec.padding, width),
        "following": following,
        "targets": following.masked_fill(counted == 0, IGNORED),
        "size": torch.tensor([len(row["ids"]) for row in features]),
    }
    for name in ("bytes", "words"):
        batch[name] = pad([row[name][1:] for row in features], 0, width) * counted
    if any("documents" in row and row["documents"][-2:][0] for row in features):  # else a causal mask is all it takes
        batch["documents"] = pad([row["documents"][:-1] or row["documents"] for row in features], -1, width)
    return batch
