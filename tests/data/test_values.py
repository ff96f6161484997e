"""Values of cells: one rule for all kinds of files; paths, joined lists and columns of flags."""

import json

import pyarrow
import pyarrow.parquet
import pytest

from framework.data.formats import name_of, text_of
from framework.data.sources.files import FilesData
from framework.data.values import checked
from framework.errors import UserError
from plugins.classification.data import ClassificationFormat
from tests.data.toy import Labeled, Pairs, files


def written(folder, kind, rows):
    """A file of rows, which are dicts of the same keys."""
    path = folder / f"a.{kind}"
    if kind == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif kind == "json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    else:
        texts = [list(rows[0]), *([value if isinstance(value, str) else json.dumps(value) for value in row.values()] for row in rows)]
        path.write_text("".join(("," if kind == "csv" else "\t").join(cells) + "\n" for cells in texts), encoding="utf-8")
    return str(path)


def rows(path, format=None, **values):
    source = files(format or Labeled(), train=path, validation_share=0, **values)
    source.check()
    return [row for row, _ in source.rows("train")]


@pytest.mark.parametrize("value", ["1", 1, 1.0, 2.5, True, False, " good ", "1.0", "007"])
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "json", "parquet"])
def test_a_label_has_the_same_name_in_every_kind_of_file(tmp_path, kind, value):
    (row,) = rows(written(tmp_path, kind, [{"text": "x", "label": value}]))
    expected = value.strip() if isinstance(value, str) else json.dumps(value)
    assert ClassificationFormat().target.value(row) == expected


def test_names_of_labels():
    assert [name_of(value) for value in ("1", 1, 1.0, True, False, " a b\t", 1e30)] == ["1", "1", "1.0", "true", "false", "a b", "1e+30"]
    for value in (None, [1], {"a": 1}, float("nan"), float("inf"), b"x", "\ud800"):
        with pytest.raises(ValueError):
            name_of(value)


def test_values_are_checked_inside_lists_and_objects():
    value = {"a": [1, "x", None, {"b": 2.5}], "c": True}
    assert checked(value) == value
    assert checked([float("nan"), b"\xc3\xbc", ("x",)]) == [None, "ü", ["x"]]
    for bad, said in ((["\ud800"], "U\\+D800"), ({"a": float("inf")}, "infinite"), ([b"\xff"], "0xff")):
        with pytest.raises(ValueError, match=said):
            checked(bad)


def test_text_that_is_typed_has_whole_characters():
    assert text_of({"text": "ü 😀"}) == "ü 😀"
    with pytest.raises(ValueError, match=r"column 'text' has half a character \(U\+DCFF"):
        text_of({"text": "x\udcff"})


CHATS = [
    {"turns": [{"value": "hello"}, {"value": "hi"}], "meta": {"lang.code": "en"}},
    {"turns": [{"value": "a"}, {"value": "b"}, {"value": "c"}]},
]


@pytest.mark.parametrize("kind", ["jsonl", "json", "parquet"])
def test_columns_reach_into_lists_and_objects(tmp_path, kind):
    path = written(tmp_path, kind, CHATS)
    assert rows(path, Pairs(), columns={"source": "turns.0.value", "target": "turns.-1.value"}) == [
        {"source": "hello", "target": "hi"},
        {"source": "a", "target": "c"},
    ]
    assert rows(path, Pairs(), columns={"source": "turns.1.value", "target": "{turns.0.value}: {turns.1.value}"})[1] == {
        "source": "b",
        "target": "a: b",
    }
    with pytest.raises(UserError, match=rf"a.{kind}, (line|row) \d: .*'turns.2.value'"):
        rows(path, Pairs(), columns={"source": "turns.0.value", "target": "turns.2.value"})
    with pytest.raises(UserError, match="'meta.lang.code'"):
        rows(path, Pairs(), columns={"source": "turns.0.value", "target": "meta.lang.code"})


LISTS = [{"source": ["One.", "Two."], "target": ["Short one.", "Another."]}, {"source": ["Three."], "target": ["Short."]}]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_lists_of_texts_are_joined_by_the_option(tmp_path, kind):
    path = written(tmp_path, kind, LISTS)
    joined = rows(path, Pairs(), join={"source": "\n"})
    assert joined == [{"source": "One.\nTwo.", "target": ["Short one.", "Another."]}, {"source": "Three.", "target": ["Short."]}]
    filled = rows(path, Pairs(), columns={"source": "<{source}>"}, join={"source": " "})
    assert [row["source"] for row in filled] == ["<One. Two.>", "<Three.>"]
    with pytest.raises(ValueError, match="data.join.source=' '"):
        text_of(rows(path, Pairs())[0], "source")
    with pytest.raises(UserError, match=r"a.*1: column 'source' is .*data.join.source=' '"):
        rows(path, Pairs(), columns={"source": "<{source}>"})


def test_an_object_in_a_template_and_a_join_of_an_unknown_column(tmp_path):
    path = written(tmp_path, "jsonl", [{"text": {"a": 1}, "label": "x"}])
    with pytest.raises(UserError, match="column 'text' is .*selected by its path"):
        rows(path, columns={"text": "{text}"})
    with pytest.raises(UserError, match=r"data.join: Labeled has no column 'txt' \(did you mean 'text'"):
        files(join={"txt": " "})


ONEHOT = [{"text": f"t{number}", "toxic": number % 2, "rude": number // 2 % 2, "id": number} for number in range(6)]


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "json", "parquet"])
def test_columns_of_flags_are_labels(tmp_path, kind):
    path = written(tmp_path, kind, ONEHOT)
    found = rows(path, ClassificationFormat(), columns={"label": ["toxic", "rude"]})
    assert [row["label"] for row in found] == [[], ["toxic"], ["rude"], ["toxic", "rude"], [], ["toxic"]]
    with pytest.raises(UserError, match=rf"a.{kind}, (line|row) \d: column 'id' is '?2'?; .*has 0 or 1"):
        rows(path, ClassificationFormat(), columns={"label": ["toxic", "id"]})
    with pytest.raises(UserError, match="no column 'dull'|column 'dull' is null"):
        rows(path, ClassificationFormat(), columns={"label": ["toxic", "dull"]})


def test_flags_by_index_have_the_names_of_the_header(tmp_path):
    path = written(tmp_path, "csv", ONEHOT)
    assert rows(path, ClassificationFormat(), columns={"text": 0, "label": [1, 2]})[3]["label"] == ["toxic", "rude"]
    with pytest.raises(UserError, match="data.header=true"):
        rows(path, ClassificationFormat(), columns={"text": 0, "label": [1, 2]}, header=False)


def test_rows_to_predict_need_no_flags(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text\nx\n")
    source = FilesData.to_predict(ClassificationFormat(), str(path), columns={"label": ["toxic", "rude"]})
    assert [row for row, _ in source.rows("test")] == [{"text": "x"}]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_one_of_several_columns_of_flags_is_noticed(tmp_path, capsys, kind):
    path = written(tmp_path, kind, ONEHOT)
    rows(path, ClassificationFormat(), columns={"label": "toxic"})
    assert "'data.columns.label=[toxic,rude]'" in capsys.readouterr().out
    rows(path, ClassificationFormat(), columns={"label": "id"})
    rows(path, ClassificationFormat(), columns={"label": ["toxic", "rude"]})
    rows(written(tmp_path, "csv", [{"text": "x", "label": "1"}, {"text": "y", "label": "0"}]), ClassificationFormat())
    assert capsys.readouterr().out == ""
