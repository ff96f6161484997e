"""Header detection and notations of line breaks in published tables."""

import pytest

from framework.data.sources.files import FilesData
from tests.data.toy import Labeled, Pairs, files

NEWS = '"3","Oil, and ""more""","Wall St.\\band of bears"\n' + "".join(
    f'"{number % 4 + 1}","title {number}","text"\n' for number in range(6)
)
ASKED = {"label": 0, "text": "{1} {2}"}


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_bytes(text.encode())
        return str(path)

    return write


def first(path, **values):
    source = files(train=path, validation_share=0, **values)
    source.check()
    return next(source.rows("train"))[0]


@pytest.mark.parametrize("header", ["Class Index,Title,Description", "label,title,text", '"class","title","description"'])
def test_a_header_in_one_file_and_none_in_the_other(write, header):
    with_header, without = write("train.csv", f"{header}\n{NEWS}"), write("test.csv", NEWS)
    expected = {"label": "3", "text": 'Oil, and "more" Wall St.\nband of bears'}
    assert first(with_header, columns=ASKED, line_break="\\") == first(without, columns=ASKED, line_break="\\") == expected
    both = files(train=with_header, test=without, columns=ASKED, validation_share=0)
    assert [sum(1 for _ in both.rows(split)) for split in ("train", "test")] == [7, 7]


def test_a_header_with_the_names_of_the_task_needs_no_numbers_below(write):
    assert first(write("a.tsv", "Text\tLabel\nfine\tgood\n"), columns={"text": 0, "label": 1}) == {"text": "fine", "label": "good"}
    assert first(write("b.tsv", "fine\tgood\n"), columns={"text": 0, "label": 1}) == {"text": "fine", "label": "good"}


def test_names_for_files_without_a_header(write):
    names = ["class", "title", "body"]
    for text in ("World,Oil rises,A lot\n", "Class, title,body\nWorld,Oil rises,A lot\n"):
        assert first(write("a.csv", text), columns={"text": "body", "label": "class"}, header=names) == {"text": "A lot", "label": "World"}


@pytest.mark.parametrize("rows", [["1,fine"] * 9, ["good,fine"] * 9, ["fine,1", "9,2", "8,3"], ["x,1"] * 2 + ["9,2"] * 9])
def test_rows_are_no_header(write, rows):
    source = files(train=write("a.csv", "\n".join(rows)), columns={"label": 0, "text": 1}, validation_share=0)
    assert sum(1 for _ in source.rows("train")) == len(rows)


def test_a_header_is_detected_in_a_file_to_predict(write):
    path = write("a.csv", f"Class Index,Title,Description\n{NEWS}")
    source = FilesData.to_predict(Labeled(), path, columns=ASKED)
    assert sum(1 for _ in source.rows("test")) == 7
    only_texts = write("b.csv", "text\nfine\n")
    assert [row for row, _ in FilesData.to_predict(Labeled(), only_texts, columns={"text": 0, "label": 1}).rows("test")] == [
        {"text": "fine"}
    ]


@pytest.mark.parametrize(
    ("mark", "text"),
    [
        ("\\", "one\\two"),
        ("\\n", "one\\ntwo"),
        ("\\", "one\\\ntwo"),
        ("\\", "one\\\r\ntwo"),
        ("<br />", "one<br />two"),
        (None, "one\ntwo"),
    ],
)
def test_notations_of_line_breaks(write, mark, text):
    path = write("a.csv", f'"3","{text}"\n"4","last"\n')
    found = list(files(train=path, columns={"label": 0, "text": 1}, line_break=mark, validation_share=0).rows("train"))
    assert [row["text"] for row, _ in found] == ["one\ntwo", "last"]
    assert found[1][1] == f"{path}, line {3 if chr(10) in text else 2}"


def test_samsum_has_line_breaks_inside_quotes(write):
    path = write(
        "a.csv", 'id,dialogue,summary\n13,"Amanda: I baked ""cookies"".\r\nJerry: Sure!\r\n\r\nAmanda: :-)",Amanda bakes.\r\n14,a,b\r\n'
    )
    source = files(Pairs(), train=path, columns={"source": "dialogue", "target": "summary"}, validation_share=0)
    (row, _), (_, where) = source.rows("train")
    assert row == {"source": 'Amanda: I baked "cookies".\r\nJerry: Sure!\r\n\r\nAmanda: :-)', "target": "Amanda bakes."}
    assert where == f"{path}, line 6"
