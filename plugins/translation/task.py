"""One language into another."""

from typing import Any, ClassVar

from framework.registry import choice, register
from framework.tasks.sequence_to_sequence import SequenceToSequence


@register("task")
class TranslationTask(SequenceToSequence):
    """Translation by an encoder-decoder, measured by BLEU and chrF. Vaswani et al. 2017, https://arxiv.org/abs/1706.03762.

    label_smoothing: the share of probability taken from the right token and spread over all (section 5.4), in training alone.
    max_ratio, max_extra: a translation is written to at most max_ratio tokens for each of its source's and max_extra more, rounded up
        to a multiple of 32 (section 6.1: input length + 50); max_ratio=null = as many as the model can hold.
    decoding: how translations are written.
    validation_rows: how many rows of the validation part are translated at each validation, spread evenly; null = all.
    test_rows: how many rows of the test part are translated at the end; null = all.
    """

    format: ClassVar[Any] = choice("format", "translation")
