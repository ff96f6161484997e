"""The synthetic pairs: right German, the same every time, and nothing in two parts."""

import pytest

from framework import Bleu, Chrf
from plugins.translation.baseline import learn_lexicon, word_by_word
from plugins.translation.builtin import BEINGS, THINGS, VERBS, Clause, Phrase
from plugins.translation.data import TranslationFormat

DOG, CHILD, NEIGHBOR = (next(noun for noun in BEINGS if noun[0] == name) for name in ("dog", "child", "neighbor"))
APPLE, LAMP, GARDEN = (next(noun for noun in THINGS if noun[0] == name) for name in ("apple", "lamp", "garden"))
SEE, CARRY = (next(verb for verb in VERBS if verb[0] == name) for name in ("see", "carry"))


@pytest.mark.parametrize(
    ("noun", "plural", "article", "adjective", "case", "english", "german"),
    [
        (DOG, False, "the", "old", "n", "the old dog", "der alte Hund"),
        (DOG, False, "the", "old", "a", "the old dog", "den alten Hund"),
        (DOG, False, "the", "old", "d", "the old dog", "dem alten Hund"),
        (DOG, False, "a", "old", "n", "an old dog", "ein alter Hund"),
        (DOG, False, "no", "", "a", "no dog", "keinen Hund"),
        (CHILD, False, "my", "small", "n", "my small child", "mein kleines Kind"),
        (CHILD, False, "a", "small", "d", "a small child", "einem kleinen Kind"),
        (NEIGHBOR, False, "a", "good", "a", "a good neighbor", "eine gute Nachbarin"),
        (NEIGHBOR, False, "the", "", "d", "the neighbor", "der Nachbarin"),
        (CHILD, True, "the", "good", "d", "the good children", "den guten Kindern"),
        (DOG, True, "no", "big", "n", "no big dogs", "keine großen Hunde"),
        (GARDEN, True, "my", "", "d", "my gardens", "meinen Gärten"),
        (APPLE, False, "a", "", "a", "an apple", "einen Apfel"),
    ],
)
def test_phrases_agree(noun: list[str], plural: bool, article: str, adjective: str, case: str, english: str, german: str) -> None:
    phrase = Phrase(noun, plural, article, adjective)
    assert (phrase.english(), phrase.german(case)) == (english, german)


def clause(tense: str = "present", negated: bool = False, article: str = "the", plural: bool = False, adverb: bool = False) -> Clause:
    adverbs = ("today", "heute") if adverb else ("", "")
    return Clause(Phrase(DOG, plural, "the", ""), CARRY, Phrase(LAMP, False, article, ""), tense, negated, adverbs, ("", ""))


@pytest.mark.parametrize(
    ("clause", "order", "english", "german"),
    [
        (clause(), "second", "the dog carries the lamp", "der Hund trägt die Lampe"),
        (clause(adverb=True), "second", "today the dog carries the lamp", "heute trägt der Hund die Lampe"),
        (clause("past", plural=True), "second", "the dogs carried the lamp", "die Hunde haben die Lampe getragen"),
        (clause("past"), "last", "the dog carried the lamp", "der Hund die Lampe getragen hat"),
        (clause("must", plural=True), "last", "the dogs must carry the lamp", "die Hunde die Lampe tragen müssen"),
        (clause(negated=True), "second", "the dog does not carry the lamp", "der Hund trägt die Lampe nicht"),
        (clause("past", negated=True, article="a"), "second", "the dog did not carry a lamp", "der Hund hat keine Lampe getragen"),
    ],
)
def test_verbs_stand_where_german_wants_them(clause: Clause, order: str, english: str, german: str) -> None:
    assert (clause.english(), clause.german(order)) == (english, german)


def test_questions_begin_with_the_verb() -> None:
    assert (clause().english(question=True), clause().german("first")) == ("does the dog carry the lamp", "trägt der Hund die Lampe")
    asked = clause("past", negated=True)
    assert (asked.english(question=True), asked.german("first")) == (
        "did the dog not carry the lamp",
        "hat der Hund die Lampe nicht getragen",
    )


def test_the_parts_are_always_the_same_and_share_nothing() -> None:
    parts = {split: list(TranslationFormat(builtin_rows=3000).builtin(split, seed=0)) for split in ("train", "validation", "test")}
    assert {split: len(rows) for split, rows in parts.items()} == {"train": 3000, "validation": 1000, "test": 1000}
    assert parts["test"] == list(TranslationFormat(builtin_rows=3000).builtin("test", seed=5))
    sources = [row["source"] for rows in parts.values() for row in rows]
    assert len(set(sources)) == len(sources)  # an English sentence has one German one, and stands in one part


def test_the_lexicon_finds_translations() -> None:
    pairs = [(row["source"].split(), row["target"].split()) for row in TranslationFormat(builtin_rows=3000).builtin("train", seed=0)]
    lexicon = learn_lexicon(pairs)
    expected = {"horse": "Pferd", "teachers": "Lehrer", "lamp": "Lampe", "must": "muss", "today": "heute", "with": "mit", "because": "weil"}
    assert {word: lexicon[word] for word in expected} == expected


def test_the_lexicon_is_model_1() -> None:
    """Against expectation maximization with dictionaries."""
    pairs = [("the house".split(), "das Haus".split()), ("the book".split(), "das Buch".split()), ("a book".split(), "ein Buch".split())]
    probability = {}
    for _ in range(5):
        counts = {}
        for source, target in pairs:
            for word in target:
                total = sum(probability.get((other, word), 1.0) for other in source)
                for other in source:
                    counts[other, word] = counts.get((other, word), 0.0) + probability.get((other, word), 1.0) / total
        totals = {source: sum(count for (other, _), count in counts.items() if other == source) for source, _ in counts}
        probability = {(source, word): count / totals[source] for (source, word), count in counts.items()}
    best = {source: max((value, word) for (other, word), value in probability.items() if other == source)[1] for source, _ in probability}
    assert learn_lexicon(pairs) == best == {"the": "das", "house": "Haus", "book": "Buch", "a": "ein"}


def test_the_baseline_is_measured() -> None:
    format = TranslationFormat(builtin_rows=2000)
    rows = list(word_by_word(format.builtin("train", 0), format.builtin("test", 0)))
    metrics = {"bleu": Bleu(), "chrf": Chrf()}
    for metric in metrics.values():
        metric.update([row["prediction"] for row in rows], [row["reference"] for row in rows])
    figures = {name: float(metric.compute()) for name, metric in metrics.items()}
    assert set(figures) == {"bleu", "chrf"} and 5 < figures["bleu"] < 40 and 30 < figures["chrf"] < 90
