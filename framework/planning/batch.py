"""A training batch of a config on the meta device: the largest that one process gets, of rows as long as the model takes."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import torch
from torch import Tensor

from framework.data.batches import Batches
from framework.data.formats import Batch, BatchRows, Features, Format, Row
from framework.data.module import data_spec_of
from framework.data.spec import DataSpec
from framework.data.tokenization.tokenizer import Tokenizer
from framework.registry import build

EXAMPLES = 1 << 16  # rows of the data that batches are planned for


def batch_spec(config: Mapping[str, Any], format: Format) -> tuple[DataSpec, Tokenizer]:
    """The data spec of the built-in rows, with the vocabulary size of the tokenizer option, and the byte tokenizer that encodes them."""
    tokenizer = build({"part": "tokenizer/bytes"}).train(lambda: iter(())).with_special_tokens(format.special_tokens)
    spec = data_spec_of(
        tokenizer, config["model"]["max_length"], format.fit(format.builtin("train", config["seed"])), format.special_tokens
    )
    wanted = (config["tokenizer"].get("vocab_size") or 0) + len(format.special_tokens)
    return replace(spec, vocab_size=max(spec.vocab_size, wanted)), tokenizer


def meta_batch(config: Mapping[str, Any], format: Format, spec: DataSpec, tokenizer: Tokenizer) -> Batch:
    """The batch, without what no training step reads. Its values are those of one built-in row, repeated; no shape depends on them."""
    batches: Batches = build(config["data"]["batches"])
    rows = format.builtin("train", config["seed"])
    features = _window(format, spec, tokenizer, rows, batches) if format.stream else _row(format, spec, tokenizer, next(rows))
    length = len(features["ids"]) - 1 if format.stream else format.length(features)
    lengths = np.full(EXAMPLES, length, dtype=np.int64)
    count = max(map(len, batches.plan_batches(lengths, config["seed"], epoch=0, world_size=1, shuffle=False)))
    collated = format.collate([features] * count, spec, Random(0))
    numbers = BatchRows(list(range(count)), None, count * length, count * length)
    return numbers.added_to({name: value.to("meta") if isinstance(value, Tensor) else value for name, value in collated.items()})


def _row(format: Format, spec: DataSpec, tokenizer: Tokenizer, row: Row) -> Features:
    """Features of a row, repeated to the length that the model takes, if the format can be made so long."""
    repeats, best = 1, _encoded(format, spec, tokenizer, row)
    assert best is not None
    while (length := format.length(best)) < spec.max_length:
        repeats = max(repeats + 1, min(2 * repeats, repeats * spec.max_length // length))
        longer = _encoded(format, spec, tokenizer, {name: _repeated(value, repeats) for name, value in row.items()})
        if longer is None or not length < format.length(longer) <= spec.max_length:
            break
        best = longer
    return best


def _encoded(format: Format, spec: DataSpec, tokenizer: Tokenizer, row: Row) -> Features | None:
    """None: the format refuses the row."""
    try:
        features = format.encode(row, tokenizer, spec)
    except ValueError:
        return None
    return None if features is None else {name: value for name, value in features.items() if not name.startswith("@")}


def _repeated(value: Any, times: int) -> Any:
    """A text or a list of tokens and their tags; a short text is a label."""
    if isinstance(value, str):
        return " ".join([value] * times) if " " in value else value
    return value * times if isinstance(value, list) and value and isinstance(value[0], str) else value


def _window(format: Format, spec: DataSpec, tokenizer: Tokenizer, rows: Iterator[Row], batches: Batches) -> Features:
    """A window of running text, which has one token more than the model reads."""
    size = format.window(spec) + 1
    encoded = next(found for row in rows if (found := _encoded(format, spec, tokenizer, row)) and found["ids"])
    window = {name: (values * (size // len(values) + 1))[:size] for name, values in encoded.items()}
    if batches.isolated:  # two documents
        window |= {"@documents": [0] * (size // 2) + [1] * (size - size // 2), "@counted": [1] * size}
    return window


def tokens(batch: Batch) -> int:
    """Tokens that a step reads: of inputs and, of an encoder-decoder, of both sides."""
    sides = [value for name, value in batch.items() if name in ("ids", "source", "target") and isinstance(value, torch.Tensor)]
    return sum(side.numel() for side in sides) or batch["@rows"].padded_tokens
