"""The order-3 byte model against its formula, one byte after another."""

import math

import pytest

from plugins.completion.baseline import order_three


def slow(train: list[str], test: list[str]) -> float:
    """Witten and Bell's method C with dictionaries."""
    counts: dict[bytes, dict[int, int]] = {}
    for text in train:
        data = b"\0\0\0" + text.encode()
        for at in range(3, len(data)):
            for order in range(4):
                following = counts.setdefault(data[at - order : at], {})
                following[data[at]] = following.get(data[at], 0) + 1
    bits = length = 0
    for text in test:
        data = b"\0\0\0" + text.encode()
        for at in range(3, len(data)):
            probability = 1 / 256
            for order in range(4):
                following = counts.get(data[at - order : at])
                if following:
                    kinds, total = len(following), sum(following.values())
                    probability = (following.get(data[at], 0) + kinds * probability) / (total + kinds)
            bits -= math.log2(probability)
            length += 1
    return bits / length


TRAIN = ["the cat sat on the mat", "a cat, a hat", "", "ünïcode text", "aaaa"]
TEST = ["the hat sat", "xyz the mat ü", "bbb"]


def test_it_is_the_formula() -> None:
    assert order_three(TRAIN, TEST) == pytest.approx(slow(TRAIN, TEST), abs=1e-12)


def test_the_format_gives_its_figure() -> None:
    assert order_three(TRAIN, TEST) == pytest.approx(slow(TRAIN, TEST))


def test_text_is_counted_block_by_block(monkeypatch) -> None:
    whole = order_three(TRAIN, TEST)
    monkeypatch.setattr("plugins.completion.baseline.BLOCK", 8)
    assert order_three(TRAIN, TEST) == pytest.approx(whole, abs=1e-12)


def test_nothing_to_measure_on_is_no_number() -> None:
    assert math.isnan(order_three(TRAIN, []))
    assert order_three([], TEST) == 8.0
