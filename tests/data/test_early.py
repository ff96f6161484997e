"""Errors in data of every kind are reported before a run starts, with their place."""

import json

import pytest

from framework.cli.train import main
from framework.data.module import prepare
from framework.data.tokenization.trainers import BytesTokenizer
from framework.errors import UserError
from tests.data.toy import Labeled, files

GOOD = {"text": "fine", "label": "good"}
NULL = {"text": "fine", "label": None}


def lines(*rows):
    return "\n".join(map(json.dumps, rows))


REFUSED = {
    "null in json lines": ("a.jsonl", lines(GOOD, NULL), "", "a.jsonl, line 2: column 'label' is null; each row needs 'label'"),
    "null in an array": ("a.json", f"[{json.dumps(GOOD)},\n{json.dumps(NULL)}]", "", "a.json, line 2: column 'label' is null"),
    "conll": ("a.conll", "fine good\nalone\n", "", "a.conll, line 2: 1 columns where the first sentence has 2"),
    "several columns": ("a.csv", "text,label\na,b\n", "data.columns.text=[one,two]", "a.csv, line 1: there is no column 'one', nor 'two'"),
    "filled in": ("a.csv", "text,label\na,b\n", 'data.columns.text="{one} {text}"', "a.csv, line 1: there is no column 'one'"),
    "no class": ("a/pos/1.txt", "fine", "data.classes=[neg]", "a has no folder 'neg' (data.classes); it has: pos"),
    "shares": ("a.csv", "text,label\na,b\n", "data.test_share=1.5", "data.test_share=1.5 must be in [0, 1)"),
    "a header of numbers": (
        "a.csv",
        "text,label\na,b\n",
        "data.header=[0,1]",
        "data.header: [0, 1] is not of type bool | list[str] | None",
    ),
}


@pytest.mark.parametrize(("name", "text", "words", "said"), REFUSED.values(), ids=REFUSED)
def test_refused(tmp_path, monkeypatch, capsys, name, text, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text)
    assert main(["task=classification", "data=files", f"data.train={name.partition('/')[0]}", *words.split("\0") * bool(words)]) == 2
    message = capsys.readouterr().err
    assert said in message and "Traceback" not in message
    assert len(message.strip().splitlines()) <= 6
    assert not (tmp_path / "runs").exists()


class Scored(Labeled):
    """A text, and a score that a row may lack."""

    columns = ("text",)
    optional = ("score",)

    def fit(self, rows):
        return {}

    def encode(self, row, tokenizer, spec):
        return {"ids": tokenizer.encode(row["text"]), **({"score": float(row["score"])} if "score" in row else {})}


def test_a_null_where_the_rows_before_had_a_value_is_answered_with_its_line(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(lines({"text": "a", "score": 1}, {"text": "b", "score": None}))
    with pytest.raises(UserError, match=r"a.jsonl, line 2: this row lacks score"):
        prepare(files(Scored(), train=str(path), validation_share=0), BytesTokenizer(), Scored(), max_length=8)
