"""Columns by name, by index, by list and by template; list values are kept unchanged."""

import json

import pyarrow
import pyarrow.parquet
import pytest

from framework.errors import UserError
from tests.data.toy import Labeled, Pairs, Tagged, files


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else "\n".join(map(json.dumps, content)), encoding="utf-8")
        return str(path)

    return write


def rows(format, path, split="train", **values):
    source = files(format, **{split: path}, validation_share=0, **values)
    source.check()
    return [row for row, _ in source.rows(split)]


SUMMARIES = {"source": "dialogue", "target": ["summary", "summary1", "summary2", "summary3"]}


def test_several_references_in_columns_of_their_own(write):
    train = write("train.jsonl", [{"dialogue": "d", "summary": "s", "topic": "t"}])
    test = write("test.jsonl", [{"dialogue": "d", **{f"summary{number}": f"s{number}" for number in (1, 2, 3)}}])
    assert rows(Pairs(), train, columns=SUMMARIES) == [{"source": "d", "target": "s"}]
    assert rows(Pairs(), test, "test", columns=SUMMARIES) == [{"source": "d", "target": ["s1", "s2", "s3"]}]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_several_references_in_a_table_may_be_fewer(write, name):
    text = "dialogue,summary1,summary2\na,s1,s2\nb,,s2\nc,s1,\nd,s1\n"
    path = write(name, text if name == "a.csv" else text.replace(",", "\t"))
    found = rows(Pairs(), path, columns=SUMMARIES)
    assert [row["target"] for row in found] == [["s1", "s2"], "s2", "s1", "s1"]
    by_number = rows(Pairs(), path, columns={"source": 0, "target": [1, 2]}, header=True)
    assert by_number == found


def test_several_references_in_parquet(tmp_path):
    path = str(tmp_path / "a.parquet")
    pyarrow.parquet.write_table(pyarrow.table({"dialogue": ["a", "b"], "summary1": ["x", None], "summary3": ["y", "z"]}), path)
    assert rows(Pairs(), path, columns=SUMMARIES) == [{"source": "a", "target": ["x", "y"]}, {"source": "b", "target": "z"}]


def test_values_filled_into_a_text(write):
    path = write("a.csv", "class,title,body\n3,Oil rises,A lot\n")
    filled = [{"text": "Oil rises: A lot", "label": "3"}]
    assert rows(Labeled(), path, columns={"text": "{title}: {body}", "label": "class"}) == filled
    assert rows(Labeled(), path, columns={"text": "{1}: {-1}", "label": 0}, header=True) == filled
    path = write("a.jsonl", [{"class": 3, "news": {"title": "Oil rises"}, "body": "A lot"}])
    assert rows(Labeled(), path, columns={"text": "{news.title}: {body}", "label": "class"}) == [{"text": "Oil rises: A lot", "label": 3}]


def test_numbers_from_the_end(write):
    path = write("a.tsv", "1\tx\tfine\tgood\n")
    assert rows(Labeled(), path, columns={"text": -2, "label": -1}) == [{"text": "fine", "label": "good"}]


@pytest.mark.parametrize("parquet", [False, True])
def test_lists_pass_as_they_are(write, tmp_path, parquet):
    row = {"tokens": ["EU", "rejects"], "tags": ["B-ORG", "O"]}
    path = str(tmp_path / "a.parquet") if parquet else write("a.jsonl", [row])
    if parquet:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), path)
    assert rows(Tagged(), path) == [row]


MISTAKES = {
    "none of several": ({"target": ["summry", "refs"]}, "line 1: there is no column 'summry', nor 'refs' (did you mean 'summary'?)"),
    "a text to fill in": ({"target": "{summary} {topic}"}, "line 1: there is no column 'topic'; there are: 'source', 'summary'"),
    "a number below": ({"target": -3}, "line 1: there is no column -3"),
    "nothing of several": ({"target": [7, -9]}, "line 1: there is no column 7"),
    "another name": ({"target": "sumary"}, "line 1: there is no column 'sumary' (did you mean 'summary'?)"),
}


@pytest.mark.parametrize("table", [True, False])
@pytest.mark.parametrize(("columns", "said"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes(write, columns, said, table):
    path = write("a.csv", "source,summary\na,b\n") if table else write("a.jsonl", [{"source": "a", "summary": "b"}])
    with pytest.raises(UserError) as caught:
        rows(Pairs(), path, columns=columns)
    assert f"{path}, {said}" in str(caught.value)
    assert "data.columns.target=" in str(caught.value)


def test_columns_that_are_empty_or_null(write):
    path = write("a.csv", "source,one,two\na,b,c\nd,,\n")
    with pytest.raises(UserError, match="line 3: column 'one' is empty; each row needs 'target'"):
        rows(Pairs(), path, columns={"target": ["one", "two"]})
    path = write("a.jsonl", [{"source": "a", "one": "b"}, {"source": "a", "one": None}])
    with pytest.raises(UserError, match="line 2: column 'one' is null; each row needs 'target'"):
        rows(Pairs(), path, columns={"target": ["one", "two"]})
    with pytest.raises(UserError, match="line 2: column 'one' is null; each row needs 'target'"):
        rows(Pairs(), path, columns={"target": "{one}"})


@pytest.mark.parametrize("nothing", ["", []])
def test_columns_that_name_nothing(nothing):
    with pytest.raises(UserError, match="data.columns.target is empty: set data.columns.target=NAME"):
        files(Pairs(), columns={"target": nothing})
