"""BLEU and chrF of sacrebleu as torchmetrics, which sync their counts between ranks."""

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.metrics.base import Metric as SacreMetric
from torch import Tensor

from framework.errors import UserError
from framework.metrics.base import RowMetric
from framework.metrics.resampling import Array
from framework.metrics.tokenizers import BleuTokenizer


class CorpusMetric(RowMetric):
    """A corpus metric of sacrebleu with one or several references a text. Post 2018, https://aclanthology.org/W18-6319.

    Its sufficient statistics are sums over texts, so the score does not depend on batches and ranks.
    """

    higher_is_better = True
    statistics: Tensor

    def __init__(self, scorer: SacreMetric):
        super().__init__()
        self.scorer = scorer
        self.add_state("statistics", torch.tensor(self._count([""], [""])[0]), dist_reduce_fx="sum")  # zeros

    def _count(self, predictions: Sequence[str], references: Sequence[str | Sequence[str]]) -> list[list[int]]:
        """The statistics of each text, (N, K)."""
        return list(self.scorer._extract_corpus_statistics(predictions, streams(references)))

    def update(self, predictions: Sequence[str], references: Sequence[str | Sequence[str]]) -> None:
        assert len(predictions) == len(references), f"{len(predictions)} predictions, {len(references)} references"
        if predictions:
            rows = torch.tensor(self._count(predictions, references))
            self.statistics += rows.sum(dim=0).to(self.statistics.device)
            self.keep(rows.numpy())

    def compute(self) -> Tensor:
        value: Tensor = self.value_of(self.statistics.tolist())
        return value

    def figures(self, sums: Array) -> Array:
        counts = sums.astype(np.int64).tolist()
        return np.array([self.scorer._compute_score_from_stats(each).score for each in counts])

    @property
    def signature(self) -> str:
        """Signature of sacrebleu: case, tokenizer, smoothing and version. Only scores of equal signatures are comparable."""
        return str(self.scorer.get_signature())


def streams(references: Sequence[str | Sequence[str]]) -> list[Any]:
    """References as sacrebleu takes them: the first of every text, then the second, ...; None if a text has fewer."""
    return list(zip_longest(*([several] if isinstance(several, str) else several for several in references)))


def _model(tokenize: str) -> tuple[str, str]:
    """The file of a sentencepiece model, and the address that sacrebleu downloads it from."""
    from sacrebleu.tokenizers.tokenizer_spm import SPM_MODELS
    from sacrebleu.utils import SACREBLEU_DIR

    address = SPM_MODELS[tokenize]["url"]
    return str(Path(SACREBLEU_DIR, "models", Path(address).name)), address


class Bleu(CorpusMetric):
    """BLEU, 0 to 100. Papineni et al. 2002, https://aclanthology.org/P02-1040.

    tokenize: the tokenizer of sacrebleu. UserError: its packages or its model are missing.

    >>> bleu = Bleu()
    >>> bleu.update(["the cat sat on the mat"], ["the cat sat on the mat"])
    >>> round(float(bleu.compute()), 1)
    100.0
    """

    def __init__(self, tokenize: BleuTokenizer = "13a") -> None:
        if tokenize not in get_args(BleuTokenizer):
            raise UserError(f"tokenize={tokenize!r} must be one of {', '.join(get_args(BleuTokenizer))}")
        try:
            scorer = BLEU(force=True, tokenize=tokenize)  # `force` only silences a warning about tokenized texts
        except (ImportError, RuntimeError, AssertionError) as error:  # no package, or another dictionary
            raise UserError(f"tokenize={tokenize} of sacrebleu cannot be used here: {' '.join(str(error).split())}") from error
        except OSError as error:
            raise UserError(
                f"tokenize={tokenize} of sacrebleu needs {' from '.join(_model(tokenize))}, which cannot be read: {error}"
            ) from error
        super().__init__(scorer)


class Chrf(CorpusMetric):
    """chrF2, 0 to 100. Popović 2015, https://aclanthology.org/W15-3049.

    >>> chrf = Chrf()
    >>> chrf.update(["the cat sat"], [["the cat sat", "a cat sat"]])
    >>> round(float(chrf.compute()), 1)
    100.0
    """

    def __init__(self) -> None:
        super().__init__(CHRF())
