"""ROUGE is the package rouge_score's, to the last digit, on any number of batches and ranks."""

import math
from random import Random

import pytest
import torch
from rouge_score import rouge_scorer

from framework.metrics.rouge import SCORES, Rouge

WORDS = "the a dog dogs runs running ran quickly Happiness flies 12 x9 déjà it's relational . , -".split()
FIXED = [
    ("The dog was running.", "A dog runs."),
    ("the cat\nsat on the mat\nand slept", "on the mat\nthe cat slept\nall day"),
    ("a b a b", "b a b a"),
    ("", "something"),
    ("something", ""),
    ("?!", "?!"),
    ("one", "one"),
    ("line\n\n\nline", "line\nline\n"),
    ("naïve façade", "naive facade"),
]


def texts(count: int, seed: int) -> list[str]:
    random = Random(seed)
    return ["".join(word + random.choice("  \n") for word in random.choices(WORDS, k=random.randrange(20))) for _ in range(count)]


PAIRS = [*FIXED, *zip(texts(150, 1), texts(150, 2), strict=True)]


@pytest.mark.parametrize("stem", [True, False])
def test_a_text_scores_as_rouge_score_says(stem: bool) -> None:
    scorer, rouge = rouge_scorer.RougeScorer(list(SCORES), use_stemmer=stem), Rouge(stem=stem)
    for prediction, reference in PAIRS:
        expected = {name: score.fmeasure for name, score in scorer.score(reference, prediction).items()}
        assert rouge.score(prediction, reference) == pytest.approx(expected, abs=1e-12)


def test_the_best_of_several_references_is_rouge_scores() -> None:
    scorer, rouge = rouge_scorer.RougeScorer(list(SCORES), use_stemmer=True), Rouge()
    for prediction, *references in zip(texts(60, 3), texts(60, 4), texts(60, 5), texts(60, 6), strict=True):
        expected = {name: score.fmeasure for name, score in scorer.score_multi(references, prediction).items()}
        assert rouge.score(prediction, references) == pytest.approx(expected, abs=1e-12)


def test_the_mean_over_several_references() -> None:
    rouge = Rouge(references="mean")
    one, other = (rouge.score("a dog runs", reference) for reference in ("a dog", "cats run"))
    assert rouge.score("a dog runs", ["a dog", "cats run"]) == {name: pytest.approx((one[name] + other[name]) / 2) for name in SCORES}


def test_sentences_end_at_lines_or_also_at_punctuation() -> None:
    prediction, reference = "It rains. The dog sleeps. Fine", "The dog sleeps. It rains."
    lines, punctuation = (Rouge(sentences=kind).score(prediction, reference) for kind in ("lines", "punctuation"))
    scorer = rouge_scorer.RougeScorer(["rougeLsum"], use_stemmer=True)
    split = scorer.score("The dog sleeps.\nIt rains.", "It rains.\nThe dog sleeps.\nFine")["rougeLsum"].fmeasure
    assert punctuation["rougeLsum"] == pytest.approx(split, abs=1e-12) != lines["rougeLsum"]
    assert {**punctuation, "rougeLsum": 0} == {**lines, "rougeLsum": 0}


def test_the_figure_is_the_mean_over_texts() -> None:
    scorer, metric = rouge_scorer.RougeScorer(list(SCORES), use_stemmer=True), Rouge()
    metric.update(*zip(*PAIRS, strict=True))
    for name, found in metric.compute().items():
        expected = math.fsum(scorer.score(right, left)[name].fmeasure for left, right in PAIRS) / len(PAIRS)
        assert float(found) == pytest.approx(100 * expected, abs=1e-10)


def test_batches_and_ranks_make_no_difference() -> None:
    predictions, references = texts(90, 7), texts(90, 8)
    one = Rouge()
    one.update(predictions, references)
    left, right, empty = Rouge(), Rouge(), Rouge()
    for at in range(0, 50, 7):
        right.update(predictions[at : min(at + 7, 50)], references[at : min(at + 7, 50)])
    left.update(predictions[50:], references[50:])
    empty.update([], [])
    left.merge_state(right)
    left.merge_state(empty)
    assert {name: float(value) for name, value in left.compute().items()} == {name: float(value) for name, value in one.compute().items()}
    assert torch.cat(right.scores).dtype == torch.float64 == right.dtype  # also what a rank without texts sends


def test_no_text_has_no_figure() -> None:
    rouge = Rouge()
    rouge.update([], [])
    assert all(math.isnan(value) for value in rouge.compute().values())


def test_the_signature_says_how_it_was_measured() -> None:
    assert Rouge().signature == "F1|refs:best|stem:porter|sentences:lines|tok:rouge_score"
    assert Rouge("mean", stem=False, sentences="punctuation").signature == "F1|refs:mean|stem:no|sentences:punctuation|tok:rouge_score"


def test_pairs_only() -> None:
    with pytest.raises(AssertionError, match="2 predictions, 1 references"):
        Rouge().update(["a", "b"], ["a"])
