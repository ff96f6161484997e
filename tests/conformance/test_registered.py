"""What is registered is held to the promises of its kind."""

from framework.registry import Part
from framework.testing import AttentionPromises, FeedForwardPromises, PositionPromises, SourcePromises, TaskPromises


class TestLinearAttention(AttentionPromises):
    part = "attention/linear"


class TestGroupedAttention(AttentionPromises):
    part = Part("attention/multi_head", num_kv_heads=2)
    families = ("encoder_decoder",)


class TestRotaryPosition(PositionPromises):
    part = "position/rotary"


class TestGatedFeedForward(FeedForwardPromises):
    part = "feed_forward/gated"
    families = ("decoder_only",)


class TestTranslation(TaskPromises):
    task = "task/translation"


class TestCompletion(TaskPromises):
    task = "task/completion"
    rows = [{"text": f"{word} and so on, {'again ' * number}"} for number, word in enumerate("one two three four five six seven".split())]


class TestClassification(TaskPromises):
    task = "task/classification"
    rows = [{"text": "good " * number + "day", "label": "odd" if number % 2 else "even"} for number in range(9)]


class TestBuiltinData(SourcePromises):
    data = Part("data/builtin", limit=50)
    format = "format/translation"
