"""BLEU and chrF are sacrebleu's own, to the last digit, on any number of batches and ranks."""

from random import Random
from typing import get_args

import pytest
import sacrebleu
import torch

from framework.errors import UserError
from framework.metrics.bleu import Bleu, BleuTokenizer, Chrf, CorpusMetric

REFERENCES = ["The dog saw the cat.", "It's 7 o'clock, isn't it?", "Ein kleines Haus am großen See", "short", "a b c d e f g"]
PREDICTIONS = ["The dog sees the cat.", "It is 7 o'clock, isn't it?", "Ein kleines Haus am See", "", "a b c d x f g h"]


def sentences(count: int, seed: int) -> list[str]:
    random = Random(seed)
    words = "the a dog cat saw . , 's großes Haus run-down 3.14 ?".split()
    return [" ".join(random.choices(words, k=random.randrange(0, 14))) for _ in range(count)]


CORPORA = {
    "fixed": (PREDICTIONS, REFERENCES),
    "perfect": (REFERENCES, REFERENCES),
    "random": (sentences(60, 1), sentences(60, 2)),
    "no match": (["x y z"] * 3, ["a b c"] * 3),
    "no match of four words": (["a b x c d"], ["a b y c d"]),  # sacrebleu smooths where others give 0
    "empty": (["", ""], ["a b", "c"]),
}


@pytest.mark.parametrize("corpus", CORPORA)
def test_equal_to_sacrebleu(corpus: str) -> None:
    predictions, references = CORPORA[corpus]
    for metric, reference in ((Bleu(), sacrebleu.corpus_bleu), (Chrf(), sacrebleu.corpus_chrf)):
        metric.update(predictions, references)
        assert float(metric.compute()) == reference(predictions, [references]).score


def test_several_references_are_sacrebleus() -> None:
    predictions, first, second = sentences(40, 1), sentences(40, 2), sentences(40, 3)
    references = [[one, other] if number % 3 else one for number, (one, other) in enumerate(zip(first, second, strict=True))]
    streams = [first, [other if number % 3 else None for number, other in enumerate(second)]]
    for metric, reference in ((Bleu(), sacrebleu.corpus_bleu), (Chrf(), sacrebleu.corpus_chrf)):
        metric.update(predictions[:15], references[:15])
        metric.update(predictions[15:], references[15:])
        assert float(metric.compute()) == reference(predictions, streams).score


@pytest.mark.parametrize("make", [Bleu, Chrf])
def test_batches_and_ranks_make_no_difference(make: type[CorpusMetric]) -> None:
    predictions, references = CORPORA["random"]
    one, left, right = make(), make(), make()
    one.update(predictions, references)
    for at in range(0, 30, 7):
        left.update(predictions[at : min(at + 7, 30)], references[at : min(at + 7, 30)])
    right.update(predictions[30:], references[30:])
    right.update([], [])  # a rank without rows
    left.merge_state(right)
    assert torch.equal(left.statistics, one.statistics)
    assert float(left.compute()) == float(one.compute()) > 0


def test_reset_forgets() -> None:
    metric = Bleu()
    metric.update(["a b c d"], ["a b c d"])
    metric.reset()
    metric.update(["x"], ["y"])
    assert float(metric.compute()) == 0


def test_the_signature_is_sacrebleus() -> None:
    for metric, scorer in ((Bleu(), sacrebleu.BLEU()), (Chrf(), sacrebleu.CHRF())):
        scorer.corpus_score(PREDICTIONS, [REFERENCES])
        assert metric.signature == str(scorer.get_signature())
    assert "tok:13a" in Bleu().signature


def test_pairs_only() -> None:
    with pytest.raises(AssertionError, match="2 predictions, 1 references"):
        Bleu().update(["a", "b"], ["a"])


@pytest.mark.parametrize(
    ("tokenize", "prediction", "reference"),
    [
        ("13a", "the cat's, 3.5", "the cats, 3.5"),
        ("intl", "«the cat» sat, there", "«the dog» sat, there"),
        ("zh", "韩梅住在深圳。", "韩梅住在广州。"),
        ("char", "서울에 갑니다", "부산에 갑니다"),
        ("none", "a b c , d", "a b c , e"),
    ],
)
def test_each_tokenizer_is_sacrebleus(tokenize: BleuTokenizer, prediction: str, reference: str) -> None:
    metric = Bleu(tokenize)
    metric.update([prediction], [reference])
    assert float(metric.compute()) == sacrebleu.corpus_bleu([prediction], [[reference]], tokenize=tokenize, force=True).score
    assert f"tok:{tokenize}" in metric.signature


def test_all_tokenizers_of_sacrebleu_are_options() -> None:
    assert set(get_args(BleuTokenizer)) == set(sacrebleu.BLEU.TOKENIZERS)


@pytest.mark.parametrize(
    ("tokenize", "error", "reason"),
    [
        ("ja-mecab", RuntimeError("pip install\n\nthis"), "pip install this"),
        ("spm", OSError("no network"), "models/sacrebleu_tokenizer_spm.model from https://.*: no network"),
    ],
)
def test_a_tokenizer_that_cannot_be_used_is_refused(
    monkeypatch: pytest.MonkeyPatch, tokenize: BleuTokenizer, error: Exception, reason: str
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("framework.metrics.bleu.BLEU", fails)
    with pytest.raises(UserError, match=f"tokenize={tokenize} .*{reason}"):
        Bleu(tokenize)


def test_an_unknown_tokenizer_is_refused() -> None:
    with pytest.raises(UserError, match="tokenize='mecab' must be one of 13a, intl"):
        Bleu("mecab")  # type: ignore[arg-type]
