"""CoNLL files: delimiters, comments, document marks, prefixes; errors have their line."""

import pytest

from framework.data.sources.base import check_early
from framework.data.sources.files import FilesData
from framework.errors import UserError
from tests.data.toy import Tagged, files


@pytest.fixture
def write(tmp_path):
    def write(text, name="a.conll", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return str(path)

    return write


def read(path, **values):
    """(tokens and tags of each sentence as text, line)."""
    source = files(Tagged(), train=path, validation_share=0, **values)
    source.check()
    return [
        (" ".join(f"{token}/{tag}" for token, tag in zip(row["tokens"], row["tags"], strict=True)), int(where.rpartition(" ")[2]))
        for row, where in source.rows("train")
    ]


SENTENCES = [("EU/B-ORG rejects/O", 1), ("Peter/B-PER", 4)]


@pytest.mark.parametrize("name", ["a.conll", "a.iob", "a.bio", "a.IOB2"])
@pytest.mark.parametrize("text", ["EU\tB-ORG\nrejects\tO\n\nPeter\tB-PER\n", "EU  B-ORG\r\nrejects \t O\r\n\r\nPeter B-PER"])
def test_tabs_blanks_line_ends_and_no_line_at_the_end(write, name, text):
    assert read(write(text, name)) == SENTENCES


def test_another_ending_needs_the_kind(write):
    assert read(write("EU\tB-ORG\nrejects\tO\n \t \nPeter\tB-PER\n", "a.tsv"), kind="conll") == SENTENCES


def test_conll_2003_has_the_tag_last_and_document_marks(write):
    text = "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\n-DOCSTART- -X- O O\n\n\nPeter NNP B-NP B-PER\n"
    assert read(write(text)) == [("EU/B-ORG rejects/O", 3), ("Peter/B-PER", 9)]
    assert read(write(text), columns={"tokens": 0, "tags": -1}) == read(write(text))
    assert read(write(text), columns={"tags": 1})[1] == ("Peter/NNP", 9)
    assert read(write(text), columns={"tokens": -4, "tags": -2})[1] == ("Peter/B-NP", 9)


def test_wnut_has_hash_signs_as_tokens_and_tabs_on_blank_lines(write):
    text = "#\tO\n#photography\tO\n\t\n#EU\tB-ORG\n\t\n\u00a0\tO\nthe end\tO\n"
    assert read(write(text, "a.annotated"), kind="conll") == [("#/O #photography/O", 1), ("#EU/B-ORG", 4), ("\u00a0/O the end/O", 6)]


@pytest.mark.parametrize(
    "text",
    [
        "# global.columns = FORM TAG\n\n# text = # EU\n#\tO\nEU\tB-ORG\n\n# newdoc\n\n# source\thttp://x\t[2009]\nEU\tB-ORG\n",
        "#begin document (x)\n\n\n# sent_id = 3\n# X O\nEU X B-ORG\n\n\n#end document\n\nEU X B-ORG\n",
    ],
)
def test_comments_before_a_sentence(write, text):
    assert read(write(text)) == [("#/O EU/B-ORG", 4 if "\t" in text else 5), ("EU/B-ORG", 10 if "\t" in text else 11)]


def test_comments_that_look_like_tokens_need_their_prefix(write):
    text = "# id 5239 domain=en\nEU _ _ B-ORG\n\n# id 77 domain=en\n#1 _ _ O\n"
    assert read(write(text), comment="# id") == [("EU/B-ORG", 2), ("#1/O", 5)]


def test_wikiann_has_a_prefix_on_every_token(write):
    text = "en:EU\tB-ORG\nzh-min-nan:::\tO\n\nfr:\tO\n"
    assert read(write(text, "train"), kind="conll", prefix="[a-z-]+:") == [("EU/B-ORG ::/O", 1), ("/O", 4)]


def test_another_delimiter(write):
    assert read(write("New York|B-LOC\n"), delimiter="|") == [("New York/B-LOC", 1)]


def test_latin_1(write):
    assert read(write("Köln\tB-LOC\n", encoding="latin-1"), encoding="latin-1") == [("Köln/B-LOC", 1)]


def test_tokens_alone_are_enough_to_predict(write):
    for text in ("EU\nrejects\n", "EU O\nrejects O\n"):
        source = FilesData.to_predict(Tagged(), write(text), kind="conll")
        assert [row["tokens"] for row, _ in source.rows("test")] == [["EU", "rejects"]]


def test_limits_shares_and_fingerprints_hold_for_sentences(write):
    path = write("".join(f"token{number}\tO\nmore\tO\n\n" for number in range(20)))
    source = files(Tagged(), train=path, validation_share=0.1, test_share=0.25)
    assert [sum(1 for _ in source.rows(split)) for split in ("train", "validation", "test")] == [13, 2, 5]
    assert source.fingerprint("train") != files(Tagged(), train=path, prefix="t", validation_share=0.1, test_share=0.25).fingerprint(
        "train"
    )


MISTAKES = {
    "no tag": ("EU\tB-ORG\n\nthe\tO\nend\n", {}, "line 4: 1 columns where the first sentence has 2, with a tab between them"),
    "a blank in a token": ("EU B-ORG\nNew York B-LOC\n", {}, "line 2: 3 columns where the first sentence has 2, with blanks between them"),
    "the delimiter to say": ("EU B-ORG\nNew York B-LOC\n", {}, "data.delimiter"),
    "no tags at all": ("\nEU\nthe\n", {}, "line 2: 1 columns, and none for 'tags' (data.columns.tags=-1)"),
    "a number too large": ("EU\tO\n", {"columns": {"tags": 2}}, "line 1: 2 columns, and none for 'tags' (data.columns.tags=2)"),
    "a name": ("EU\tO\n", {"columns": {"tags": "ner"}}, "data.columns.tags=ner must be an index"),
    "another prefix": ("en:EU\tO\n", {"prefix": "fr:"}, "line 1: 'en:EU' does not begin with data.prefix=fr:"),
    "no expression": ("en:EU\tO\n", {"prefix": "("}, "data.prefix=(: not a regular expression"),
    "comments alone": ("# nothing\n\n# more\n", {}, "has no rows (data.train)"),
    "another encoding": ("Köln\tO\n", {"encoding": "ascii"}, "line 1, byte 1 of the file: 0xc3 is not ascii"),
}


@pytest.mark.parametrize(("text", "values", "said"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes(write, text, values, said):
    path = write(text)
    with pytest.raises(UserError) as caught:
        check_early({"part": "data/files", "train": path, **values}, ("tokens", "tags"), ("tags",))
    assert said in str(caught.value)
    assert path in str(caught.value) or "data." in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 6
