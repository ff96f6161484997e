"""Translation."""

from framework import BaselineData, SequenceToSequence, choice, register

from .baseline import word_by_word


@register("task")
class TranslationTask(SequenceToSequence):
    """Translation by an encoder-decoder, measured by BLEU and chrF. Vaswani et al. 2017, https://arxiv.org/abs/1706.03762.

    label_smoothing: share of the target's probability that is spread over the vocabulary (section 5.4), in training alone.
    max_ratio, max_extra: a translation has at most max_ratio tokens for each of its source's, and max_extra more, rounded up
        to a multiple of 32 (section 6.1: input length + 50); max_ratio=null = as many as the model takes.
    decoding: the decoding strategy.
    validation_rows: number of validation rows to translate at each validation, spread evenly; null = all.
    test_rows: number of test rows to translate at the end; null = all.
    """

    format = choice("format", "translation")

    def baseline(self, data: BaselineData) -> dict[str, float]:
        """Word-by-word translation."""
        return word_by_word(data.train, data.test)
