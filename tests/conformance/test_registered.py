"""Registered parts keep the promises of their kinds."""

import pytest

from framework.config import catalogue
from framework.registry import Part
from framework.testing import (
    AttentionPromises,
    BlockPromises,
    FeedForwardPromises,
    NormPromises,
    PositionPromises,
    SourcePromises,
    StackPromises,
    TaskPromises,
    ToyTask,
)
from framework.testing.task_rows import refuses_other_types


class TestLinearAttention(AttentionPromises):
    part = "attention/linear"


class TestGroupedAttention(AttentionPromises):
    part = Part("attention/multi_head", num_kv_heads=2)
    families = ("encoder_decoder",)


class TestCappedGatedAttention(AttentionPromises):
    part = Part("attention/multi_head", logit_cap=2.0, sinks=True, gate="feature", qk_norm=Part("norm/rms"), qk_norm_over="all_heads")
    families = ("encoder_decoder",)


class TestValueResidual(AttentionPromises):
    part = Part("attention/multi_head", value_residual=True, num_kv_heads=1)
    families = ("encoder_decoder",)


class TestDifferentialAttention(AttentionPromises):
    part = "attention/differential"
    families = ("encoder_decoder",)


class TestLatentAttention(AttentionPromises):
    part = Part("attention/latent", query_dim=6, scale=0.3)
    families = ("encoder_decoder",)


class TestGatedDeltaAttention(AttentionPromises):
    part = "attention/gated_delta"
    families = ("decoder_only",)


class TestRetentionAttention(AttentionPromises):
    part = "attention/retention"
    families = ("decoder_only",)


class TestSandwichBlock(BlockPromises):
    part = "block/sandwich"
    families = ("encoder_decoder",)


class TestReorderedBlock(BlockPromises):
    part = "block/reordered"
    families = ("decoder_only",)


class TestDeepNormBlock(BlockPromises):
    part = "block/deep_norm"
    families = ("encoder_decoder",)


class TestDynamicTanh(NormPromises):
    part = "norm/dynamic_tanh"
    families = ("encoder_only",)


class TestRotaryPosition(PositionPromises):
    part = "position/rotary"


class TestScaledRotaryPosition(PositionPromises):
    part = Part("position/rotary", scaling="yarn", base=50.0, trained_length=16)
    families = ("decoder_only",)


class TestKerplePosition(PositionPromises):
    part = "position/kerple"
    families = ("encoder_decoder",)


class TestDisentangledPosition(PositionPromises):
    part = Part("position/disentangled", buckets=4, distance=8)
    families = ("encoder_decoder",)


class TestFirePosition(PositionPromises):
    part = Part("position/fire", hidden=6, threshold=4.0)
    families = ("encoder_decoder",)


class TestShawPosition(PositionPromises):
    part = Part("position/shaw", distance=2)


class TestSharedDecoder(StackPromises):
    part = "decoder/shared"


class TestSharedCrossDecoder(StackPromises):
    part = "decoder/shared_cross"


class TestGatedFeedForward(FeedForwardPromises):
    part = "feed_forward/gated"
    families = ("decoder_only",)


class TestMixtureOfExperts(FeedForwardPromises):
    part = Part(
        "feed_forward/mixture_of_experts", experts=4, shared_experts=1, router_bias=True, expert=Part("feed_forward/mlp", hidden=12)
    )
    families = ("encoder_decoder",)


class TestTranslation(TaskPromises):
    task = "task/translation"


class TestCompletion(TaskPromises):
    task = "task/completion"
    rows = [{"text": f"{word} and so on, {'again ' * number}"} for number, word in enumerate("one two three four five six seven".split())]


class TestPrompted(TaskPromises):
    """Completions of different length, most of them shorter than what may be generated."""

    task = Part("task/completion", format=Part("format/prompted"))
    rows = [{"prompt": f"Say {word}.", "completion": word} for word in ("ab", "a", "abcd", "abc", "b", "ba", "bac", "cab", "c")]


class TestClassification(TaskPromises):
    task = "task/classification"
    rows = [{"text": "good " * number + "day", "label": "odd" if number % 2 else "even"} for number in range(9)]


class TestBuiltinData(SourcePromises):
    data = Part("data/builtin", limit=50)
    format = Part("format/translation", builtin_rows=300)


OTHER_FORMATS = [
    Part("task/classification", format=Part("format/pairs")),
    Part("task/completion", format=Part("format/prompted")),
    Part("task/ner", format=Part("format/ner_spans")),
    *(Part("task/pretraining", format=Part(f"format/{name}")) for name in ("causal", "span_corruption", "infilling")),
]


@pytest.mark.parametrize("task", [*(f"task/{name}" for name in catalogue.load().names("task")), *OTHER_FORMATS])
def test_every_format_refuses_a_row_of_another_type(task):
    rows = TestClassification.rows if task == "task/classification" else None  # the first built-in rows have one label
    refuses_other_types(ToyTask(task, rows))
