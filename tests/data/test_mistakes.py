"""Error messages about data: what is wrong, where (file, line, byte), and the option to set."""

import re
import subprocess
import sys

import pyarrow
import pyarrow.parquet
import pytest

from framework.data.module import prepare
from framework.data.sources.base import check_early
from framework.data.tokenization.trainers import BytesTokenizer, WordpieceTokenizer
from framework.errors import UserError
from framework.registry import Part
from tests.data.toy import Labeled, Pairs, Stream, files


def complaint(source, split="train"):
    """The error of reading all rows, which must be short."""
    with pytest.raises(UserError) as caught:
        source.check()
        list(source.rows(split))
    message = str(caught.value)
    assert len(message.splitlines()) <= 6
    return message


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def test_no_file_is_named():
    assert "data=files has no file: set data.train=FILE" in complaint(files())


def test_a_missing_file_is_answered_with_the_address_of_the_data(tmp_path):
    message = complaint(files(train="train.tsv", published="https://example.org/data"))
    assert message.startswith("train.tsv does not exist (data.train=train.tsv)")
    assert "data.folder=DIR" in message
    assert "published at https://example.org/data" in message
    message = complaint(files(folder=str(tmp_path), train="train.tsv"))
    assert message == f"{tmp_path}/train.tsv does not exist (data.train=train.tsv)"


def test_a_folder_is_no_file(tmp_path):
    assert f"{tmp_path} is a folder (data.train)" in complaint(files(train=str(tmp_path)))


def test_empty_files(write):
    path = write("a.csv", "")
    assert complaint(files(train=path)) == f"{path} is empty (data.train) and must have at least one row"
    path = write("b.csv", "text,label\n")
    assert complaint(files(train=path)) == f"{path} has no rows (data.train)"
    good = write("c.csv", "text,label\na,b\n")
    assert f"{path} has no rows (data.test)" in complaint(files(train=good, test=path))


def test_an_unknown_column_is_answered_with_the_nearest(write):
    path = write("a.csv", "Review,stars\na,b\n")
    message = complaint(files(train=path, columns={"text": "review", "label": "stars"}))
    assert f"{path}, line 1: there is no column 'review' (did you mean 'Review'?); there are: 'Review', 'stars'" in message
    assert "data.columns.text=NAME" in message


def test_a_column_number_beyond_the_file(write):
    path = write("a.tsv", "a\tb\n")
    message = complaint(files(train=path, columns={"text": 0, "label": 2}))
    assert f"{path}, line 1: there is no column 2 for 'label': columns go from 0 to 1 here" in message
    assert "data.columns.label=INDEX; if the first row names the columns: data.header=true" in message


def test_a_column_that_the_task_has_not():
    with pytest.raises(UserError, match=r"data.columns: Labeled has no column 'txt' \(did you mean 'text'\?\); it has: text, label"):
        files(columns={"txt": 0})


def test_a_missing_column_after_quoted_line_breaks(write):
    path = write("a.csv", 'text,label\n"one\ntwo\nthree",good\nalone\n')
    assert (
        complaint(files(train=path))
        == f"{path}, line 5: column 'label' is missing (1 columns here); each row needs 'label': write it, or remove the row"
    )


def test_too_many_columns(write):
    path = write("a.csv", "text,label\none, two,good\n")
    assert f"{path}, line 2: 3 columns where the header has 2" in complaint(files(train=path))


def test_a_quote_that_never_closes(write):
    path = write("a.csv", 'text,label\nfine,good\n"open,good\nmore,good\n')
    message = complaint(files(train=path))
    assert message.startswith(f"{path}, line 3: unexpected end of data")
    assert "data.quoting=false" in message


def test_a_wrong_encoding_names_file_line_and_byte(write):
    content = "text,label\nfine,good\nÜber,gut\n".encode("latin-1")
    path = write("a.csv", content)
    message = complaint(files(train=path))
    assert message.startswith(f"{path}, line 3, byte {content.index(0xDC)} of the file: 0xdc is not utf-8")
    assert "data.encoding=latin-1" in message


def test_a_wide_encoding_that_does_not_fit(write):
    path = write("a.csv", b"text,label\nodd")
    assert f"{path}, after line 0: not utf-16" in complaint(files(train=path, encoding="utf-16"))


def test_an_encoding_that_does_not_exist():
    with pytest.raises(UserError, match="data.encoding=utf9 .* utf-8"):
        files(encoding="utf9")


def test_json_lines(write):
    path = write("a.jsonl", '{"text": "a", "label": "b"}\n{"text": \n')
    assert f"{path}, line 2: not JSON: Expecting value at character" in complaint(files(train=path))
    path = write("b.jsonl", '[\n{"text": "a"}]')
    assert f"{path}, line 1: not JSON" in (message := complaint(files(train=path)))
    assert "data.kind=json" in message
    path = write("c.jsonl", '["a", "b"]\n')
    assert f'{path}, line 1: the value must be an object, {{"text": ...}}, and is a list' in complaint(files(train=path))
    path = write("d.jsonl", '{"text": "a", "label": "b"}\n\n{"text": "a", "lable": "b"}\n')
    assert f"{path}, line 3: there is no column 'label' (did you mean 'lable'?)" in complaint(files(train=path))
    path = write("e.jsonl", '{"text": null, "label": "b"}\n')
    assert f"{path}, line 1: column 'text' is null; each row needs 'text': write it, or remove the row" in complaint(files(train=path))


def test_json_arrays(write):
    path = write("a.json", '[\n  {"text": "a", "label": "b"},\n  {"text": \n}]')
    assert f"{path}, line 4, character 1: not JSON: Expecting value" in complaint(files(train=path))
    path = write("b.json", '[{"text": "a", "label": "b"}')
    assert f"{path}, line 1: not JSON: Expecting ',' or ']'" in complaint(files(train=path))
    path = write("c.json", '[\n"a", "b"]')
    assert f'{path}, line 2: the value must be an object, {{"text": ...}}, and is a str' in complaint(files(train=path))
    path = write("d.json", '[{"text": "a", "label": "b"},\n\n{"text": "a", "label": null}]')
    assert f"{path}, line 3: column 'label' is null; each row needs 'label': write it, or remove the row" in complaint(files(train=path))
    path = write("e.json", '{\n  "data": [{"text": "a", "label": "b"}]\n}')
    assert f"{path}, line 1: not JSON: Expecting property name" in (message := complaint(files(train=path)))
    assert "each line must be one object" in message
    path = write("f.json", "[]")
    assert f"{path} has no rows (data.train)" in complaint(files(train=path))


def test_parquet(write, tmp_path):
    path = write("a.parquet", "no parquet")
    assert f"{path}: not a parquet file" in complaint(files(train=path))
    path = str(tmp_path / "b.parquet")
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a", "b"], "label": ["x", None]}), path)
    assert f"{path}, row 2: column 'label' is null; each row needs 'label': write it, or remove the row" in complaint(files(train=path))
    assert "there is no column 'stars'" in complaint(files(train=path, columns={"label": "stars"}))


def test_patterns(write):
    path = write("a.txt", "A:one\ntwo\n")
    message = complaint(files(train=path, pattern="(?P<label>[A-Z]):(?P<text>.*)"))
    assert f"{path}, line 2: 'two' does not match data.pattern=(?P<label>[A-Z]):(?P<text>.*)" in message
    with pytest.raises(UserError, match="data.pattern=.* not a regular expression"):
        files(train=path, pattern="(?P<label>")
    assert "there is no column 'text' (did you mean 'txt'?)" in complaint(files(train=path, pattern="(?P<label>[A-Z]):(?P<txt>.*)"))


def test_plain_text_for_a_task_of_several_columns(write):
    path = write("a.txt", "one\n")
    message = complaint(files(train=path))
    assert f"{path}: plain text has one column, and the task needs label, text" in message
    assert "data.kind=csv" in message


def test_parallel_files_of_different_length(write):
    names = [write("a.en", "one\ntwo\nthree\n"), write("a.de", "eins\n")]
    message = complaint(files(Pairs(), train=names))
    assert f"same number of lines, and {names[0]} has 3, {names[1]} has 1" in message
    assert "same number of lines" in complaint(files(Pairs(), train=names[::-1]))


def test_parallel_files_that_are_too_few(write):
    message = complaint(files(Pairs(), train=[write("a.en", "one\n")], kind="parallel"))
    assert "there is no column 1 for 'target'" in message


def test_a_delimiter_of_several_characters():
    with pytest.raises(UserError, match="data.delimiter='::' must be one character"):
        files(delimiter="::")


def prepared(source, format=None):
    return prepare(source, BytesTokenizer(), format or Labeled(), max_length=8)


def test_errors_of_encode_have_the_place_of_the_row(write, own_cache):
    train = write("a.csv", "text,label\na,x\nb,y\n")
    test = write("b.csv", "text,label\na,x\nb,z\n")
    with pytest.raises(UserError, match=re.escape(f"{test}, line 3: label 'z' does not occur in training")):
        prepared(files(train=train, test=test, validation_share=0))
    assert not [path for path in own_cache.rglob("*") if path.suffix == ".part"]


def test_errors_of_fit_have_the_place_of_the_row(write):
    path = write("a.csv", "text,label\na,x\nb,bad\nc,x\n")
    with pytest.raises(UserError, match=re.escape(f"{path}, line 3: the label is bad")):
        prepared(files(train=path, validation_share=0))


def test_errors_of_tokenizer_texts_have_the_place_of_the_row(write):
    class Picky(Labeled):
        def tokenizer_texts(self, row):
            raise ValueError("no such text")

    path = write("a.csv", "text,label\na,x\n")
    with pytest.raises(UserError, match=re.escape(f"{path}, line 2: no such text")):
        prepare(files(Picky(), train=path, validation_share=0), WordpieceTokenizer(), Picky(), max_length=8)


def test_a_split_whose_rows_are_all_dropped(write):
    path = write("a.csv", "text,label\ndrop,x\ndrop,x\n")
    with pytest.raises(UserError, match=r"data.train has no rows left: Labeled dropped all 2"):
        prepared(files(train=path, validation_share=0))


def test_no_training_split(write):
    path = write("a.csv", "text,label\na,x\n")
    with pytest.raises(UserError, match=r"no training split, only test: set data.train"):
        prepared(files(test=path))


def test_packing_rows_that_are_no_stream(write):
    path = write("a.csv", "text,label\na,x\n")
    with pytest.raises(UserError, match="data/batches=packed .* Labeled: data/batches=buckets"):
        prepared(files(train=path, batches=Part("batches/packed")))


def test_a_stream_that_is_too_short(write):
    path = write("a.txt", "x")
    with pytest.raises(UserError, match="at least 2 tokens, and this one has 1"):
        prepared(files(Stream(), train=path, validation_share=0, batches=Part("batches/packed")), Stream()).loader("train")


def test_errors_are_reported_without_torch(write):
    path = write("a.csv", "text,label\none\n")
    code = f"""
import sys
import framework.data.sources.files, framework.data.batches
from framework.data.sources.base import check_early
try:
    check_early({{"part": "data/files", "train": {path!r}}}, ("text", "label"), ("label",))
except ValueError as error:
    print(error, "torch" in sys.modules)
"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert (
        shown.strip()
        == f"{path}, line 2: column 'label' is missing (1 columns here); each row needs 'label': write it, or remove the row False"
    )


def test_early_is_as_strict_as_late_and_lets_good_data_pass(write):
    node = {"part": "data/files", "train": write("a.csv", "text,label\na,b\n")}
    check_early(node, ("text", "label"), ())
    with pytest.raises(UserError, match="there is no column 'target'"):
        check_early(node, ("text", "target"), ())
