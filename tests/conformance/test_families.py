"""A part that rules refuse in some families, in all, or that cannot be built: one test says so, and the others run on what is left."""

import pytest

from framework.parts.attention.multi_head import MultiHeadAttention
from framework.parts.feed_forward import MLPFeedForward
from framework.parts.positions.learned import LearnedPosition
from framework.registry import Part
from framework.testing import AttentionPromises, BrokenPromise, FeedForwardPromises, Inapplicable, PositionPromises


class ForEncoders(MLPFeedForward):
    rules = {"'decoder' not in provided": "this network reads on both sides"}


class ForDecoders(LearnedPosition):
    """The rule is about an argument, which is known when the part is built."""

    rules = {"causal": "these positions are of texts that grow"}

    def __init__(self, dim: int, max_length: int, causal: bool):
        super().__init__(dim, max_length)


class ForNone(MLPFeedForward):
    rules = {"'decoder' not in provided": "no decoder", "'encoder' not in provided": "no encoder"}


class WithoutAWidth(MultiHeadAttention):
    @property
    def rotary_dim(self):
        raise AttributeError("'WithoutAWidth' object has no attribute 'rotary_dim'")

    @rotary_dim.setter
    def rotary_dim(self, value):
        pass


def suite(kind, part):
    return type("Suite", (kind,), {"part": part if isinstance(part, str) else Part(part)})()


def outcomes(tests):
    """Test -> how it ended."""
    ended = {}
    for name in dir(tests):
        if name.startswith("test_"):
            try:
                getattr(tests, name)()
                ended[name] = "passed"
            except (BrokenPromise, Inapplicable) as outcome:
                ended[name] = type(outcome).__name__
    return ended


def test_a_part_without_rules_is_tested_everywhere():
    """In three families beside three positions, and with a window."""
    legal, refused, failed = suite(AttentionPromises, "attention/multi_head").toys()
    assert len(legal) == 12 and not refused and not failed


@pytest.mark.parametrize(
    ("kind", "part", "left", "reason"),
    [
        (FeedForwardPromises, ForEncoders, "encoder_only", "decoder_only: this network reads on both sides"),
        (PositionPromises, ForDecoders, "decoder_only", "encoder_only: .*these positions are of texts that grow"),
    ],
)
def test_a_part_of_one_family_is_tested_in_it(kind, part, left, reason):
    tests = suite(kind, part)
    with pytest.raises(Inapplicable, match=f"tested in {left}, which the rules leave; not in .*{reason}"):
        tests.test_runs_in_every_family()
    assert {toy.family for toy in tests.toys().legal} == {left}
    tests.test_rows_are_independent()


@pytest.mark.parametrize(
    ("kind", "part", "reason"),
    [
        (FeedForwardPromises, ForNone, "the rules leave none: encoder_only: no encoder.*; decoder_only: no decoder"),
        (AttentionPromises, "attention/mutli_head", "UserError: there is no attention 'mutli_head'"),
        (AttentionPromises, WithoutAWidth, "AttributeError: 'WithoutAWidth' object has no attribute 'rotary_dim'"),
    ],
)
def test_a_part_of_no_family_fails_once(kind, part, reason):
    tests = suite(kind, part)
    with pytest.raises(BrokenPromise, match=f"^runs in every family: {reason}"):
        tests.test_runs_in_every_family()
    ended = outcomes(tests)
    assert ended.pop("test_runs_in_every_family") == "BrokenPromise" and set(ended.values()) == {"Inapplicable"}
