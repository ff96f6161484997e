"""Baselines of summarization: the right extract of a document, measured by the options of ROUGE."""

import pytest

from framework.metrics.rouge import SCORES, Rouge
from plugins.summarization import baseline
from plugins.summarization.baseline import extracts, first_words, longest, sentences

DIALOGUE = "#A#: Hi.\n#B#: Hello, how are you today?\n#A#: Fine, thanks a lot.\n#B#: Good.\n#A#: Shall we go to the park?"
TRAIN = [{"document": "", "summary": summary} for summary in ("one two", ["a b c", "d e f g"], "one two three")]


def test_sentences_are_lines_or_end_with_a_mark() -> None:
    assert sentences(" one. two\n\nthree ") == ["one. two", "three"]
    assert sentences("One is 1.5. Two? Three!") == ["One is 1.5.", "Two?", "Three!"]


def test_the_longest_sentences_keep_their_order() -> None:
    assert longest(sentences(DIALOGUE)) == [DIALOGUE.splitlines()[place] for place in (1, 2, 4)]
    assert longest(["one"]) == ["one"]


def test_extracts_are_measured() -> None:
    rows = [{"document": DIALOGUE, "summary": ["A and B go to the park.", "Hello."]}]
    found, rouge, lines = extracts(TRAIN, rows), Rouge(), DIALOGUE.splitlines()
    expected = {"": "A Hi B", "lead3_": "\n".join(lines[:3]), "longest3_": "\n".join((lines[1], lines[2], lines[4]))}
    scores = {name: rouge.score(text, rows[0]["summary"]) for name, text in expected.items()}
    assert found == pytest.approx({f"{name}{figure}": 100 * score[figure] for name, score in scores.items() for figure in SCORES})


def test_the_measure_can_be_chosen() -> None:
    rows = [{"document": DIALOGUE, "summary": ["A and B go to the park.", "Hello."]}]
    best, mean = extracts(TRAIN, rows), extracts(TRAIN, rows, references="mean")
    assert 0 < mean["longest3_rouge1"] < best["longest3_rouge1"]


def test_extracts_have_a_bounded_number_of_words(monkeypatch: pytest.MonkeyPatch) -> None:
    document = " ".join(f"word{number}" for number in range(20_000))
    words: list[int] = []
    update = Rouge.update
    monkeypatch.setattr(
        Rouge, "update", lambda self, texts, known: words.extend(len(text.split()) for text in texts) or update(self, texts, known)
    )
    extracts([{"summary": "one two"}], [{"document": document, "summary": "word1 word2"}])
    assert words == [2, baseline.LONGEST, baseline.LONGEST]
    assert first_words("one\n two  ") == "one\n two  "


def test_words_and_sentences_of_another_script() -> None:
    rows = [{"document": "Собака спит. Кот ест! Идёт дождь? Да.", "summary": "Собака спит"}]
    train = [{"document": "", "summary": "Кот ест"}]
    assert sentences(rows[0]["document"]) == ["Собака спит.", "Кот ест!", "Идёт дождь?", "Да."]
    assert sentences("下雨了。狗睡了！好") == ["下雨了。", "狗睡了！", "好"]
    assert extracts(train, rows, tokenize="unicode")["rouge1"] == 100  # the first two words
