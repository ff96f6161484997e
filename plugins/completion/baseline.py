"""A byte model that looks back two bytes."""

import math
from collections.abc import Iterable

import numpy as np

Array = np.ndarray


def order_two(train: Iterable[str], test: Iterable[str]) -> float:
    """Bits per byte of an interpolated order-2 byte model. Witten and Bell 1991, method C, https://doi.org/10.1109/18.87000.

    p(z | xy) = (n(xyz) + t(xy) p(z | y)) / (n(xy) + t(xy)), where t(xy) is how many different bytes followed xy; likewise down to
    the uniform distribution. Every document starts behind two zero bytes.
    """
    counts = np.zeros(1 << 24, dtype=np.int64)
    for text in train:
        x, y, z = contexts(text)
        np.add.at(counts, (x << 16) | (y << 8) | z, 1)
    orders = [counts.reshape(-1, 256)]
    while len(orders) < 3:
        orders.append(orders[-1].reshape(256, -1, 256).sum(axis=0))  # without the byte furthest back
    tables = [(table, table.sum(axis=1), (table > 0).sum(axis=1)) for table in reversed(orders)]  # n(xyz), n(xy), t(xy)
    bits, length = 0.0, 0
    for text in test:
        x, y, z = contexts(text)
        probability: Array = np.full(len(z), 1 / 256)
        for (table, total, kinds), context in zip(tables, (np.zeros_like(z), y, (x << 8) | y), strict=True):
            seen, different = total[context], kinds[context]
            known = (table[context, z] + different * probability) / np.maximum(seen + different, 1)
            probability = np.where(seen == 0, probability, known)
        bits -= float(np.log2(probability).sum())
        length += len(z)
    return bits / length if length else math.nan


def contexts(text: str) -> tuple[Array, Array, Array]:
    """Each byte of the text behind the two before it."""
    data = np.frombuffer(b"\0\0" + text.encode("utf-8", "surrogatepass"), dtype=np.uint8).astype(np.int64)
    return data[:-2], data[1:-1], data[2:]
