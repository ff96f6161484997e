"""Files as five public data sets publish them, rebuilt small: each is read by one plain line of options."""

import json

import pytest

from framework.config.compose import compose
from framework.registry import build


def multiconer(folder):
    """MultiCoNER: a comment before each sentence, with as many columns as its tokens."""
    sentences = (
        [("the", "O"), ("film", "O"), ("Alien", "B-CW")],
        [("Paris", "B-LOC"), ("#", "O")],
        [("#", "O"), ("1", "O"), ("Rome", "B-LOC")],
    )
    lines = ["".join(f"{token} _ _ {tag}\n" for token, tag in each) for each in sentences]
    (folder / "en_train.conll").write_text("".join(f"\n# id 77{number}-ab domain=en\n{each}\n" for number, each in enumerate(lines)))
    return [{"tokens": [token for token, _ in each], "tags": [tag for _, tag in each]} for each in sentences]


def spreadsheet(folder):
    """A table that a spreadsheet exported as Unicode text: UTF-16 with a byte-order mark, tabs between columns."""
    rows = [("Käse über Öl", "gut"), ("中文", "schlecht"), ("नमस्ते", "gut")]
    (folder / "export.csv").write_bytes("".join(f"{text}\t{label}\r\n" for text, label in [("text", "label"), *rows]).encode("utf-16"))
    return [{"text": text, "label": label} for text, label in rows]


def jigsaw(folder):
    """Jigsaw's toxic comments: a column of 0 and 1 for each label."""
    (folder / "jigsaw.csv").write_text(
        'id,comment_text,toxic,obscene,insult\n01,"no, thanks",0,0,0\n02,"you\n\nrude ""thing""",1,0,1\n03,hm,0,1,0\n', encoding="utf-8"
    )
    return [
        {"text": "no, thanks", "label": []},
        {"text": 'you\n\nrude "thing"', "label": ["toxic", "insult"]},
        {"text": "hm", "label": ["obscene"]},
    ]


def sharegpt(folder):
    """ShareGPT: the turns of a chat in a list."""
    turns = [("hello", "hi there"), ("name a colour", "red"), ("count to two", "one two")]
    chats = [
        {"id": number, "conversations": [{"from": "human", "value": a}, {"from": "gpt", "value": b}]} for number, (a, b) in enumerate(turns)
    ]
    (folder / "chats.json").write_text(json.dumps(chats))
    return [{"prompt": a, "completion": b} for a, b in turns]


def imdb(folder):
    """IMDB: one folder a class with one text a file, sorted by class, beside texts without labels and files of an archiver."""
    for label in ("neg", "pos", "unsup"):
        (folder / "train" / label).mkdir(parents=True)
        for number in range(2):
            (folder / "train" / label / f"{number}.txt").write_text(f"{label} {number}")
    (folder / "train" / "__MACOSX").mkdir()
    (folder / "train" / "__MACOSX" / "._0.txt").write_bytes(b"\0\5")
    return [{"text": f"{label} {number}", "label": label} for number in range(2) for label in ("neg", "pos")]


CASES = {
    "MultiCoNER": (multiconer, "task=ner data.train=en_train.conll"),
    "spreadsheet": (spreadsheet, "task=classification data.train=export.csv"),
    "Jigsaw": (
        jigsaw,
        "task=classification data.train=jigsaw.csv data.columns.text=comment_text data.columns.label=[toxic,obscene,insult]",
    ),
    "ShareGPT": (
        sharegpt,
        "task=completion task/format=prompted data/batches=buckets data.train=chats.json data.columns.prompt=conversations.0.value "
        "data.columns.completion=conversations.1.value",
    ),
    "IMDB": (imdb, "task=classification data.train=train data.classes=[neg,pos]"),
}


@pytest.mark.parametrize(("write", "line"), CASES.values(), ids=CASES)
def test_the_rows_are_those_that_are_published(tmp_path, monkeypatch, write, line):
    monkeypatch.chdir(tmp_path)
    expected = write(tmp_path)
    words = [*line.split(), "data=files", "data.validation_share=0"]
    config = compose([*words, "task/target=labels"] if "[toxic" in line else words).config
    source = build(config["data"], format=build(config["task"]["format"]), seed=0)
    source.check()
    assert [row for row, _ in source.rows("train")] == expected
