"""Translation."""

from framework import BaselineData, SequenceToSequence, choice, register

from .baseline import word_by_word


@register("task")
class TranslationTask(SequenceToSequence):
    """Translation by an encoder-decoder, measured by BLEU and chrF. Vaswani et al. 2017, https://arxiv.org/abs/1706.03762.

    label_smoothing: share of the target's probability that is spread over the vocabulary (section 5.4), in training alone.
    """

    format = choice("format", "translation")

    def baseline(self, data: BaselineData) -> dict[str, float]:
        """Word-by-word translation."""
        return word_by_word(data.train, data.test)
