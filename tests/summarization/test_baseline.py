"""Baselines of summarization: the right extract of a document."""

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
    found, lines = extracts(TRAIN, rows), DIALOGUE.splitlines()
    expected = {"": "A Hi B", "lead3_": "\n".join(lines[:3]), "longest3_": "\n".join((lines[1], lines[2], lines[4]))}
    assert found == {name: [{"prediction": text, "reference": rows[0]["summary"]}] for name, text in expected.items()}


def test_extracts_have_a_bounded_number_of_words() -> None:
    document = " ".join(f"word{number}" for number in range(20_000))
    found = extracts([{"summary": "one two"}], [{"document": document, "summary": "word1 word2"}])
    words = [len(str(row["prediction"]).split()) for rows in found.values() for row in rows]
    assert words == [2, baseline.LONGEST, baseline.LONGEST]
    assert first_words("one\n two  ") == "one\n two  "


def test_words_and_sentences_of_another_script() -> None:
    rows = [{"document": "Собака спит. Кот ест! Идёт дождь? Да.", "summary": "Собака спит"}]
    train = [{"document": "", "summary": "Кот ест"}]
    assert sentences(rows[0]["document"]) == ["Собака спит.", "Кот ест!", "Идёт дождь?", "Да."]
    assert sentences("下雨了。狗睡了！好") == ["下雨了。", "狗睡了！", "好"]
    assert extracts(train, rows, tokenize="unicode")[""][0]["prediction"] == "Собака спит"  # the first two words
