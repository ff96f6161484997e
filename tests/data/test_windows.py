"""Windows of running text: every token is a target exactly once an epoch."""

import numpy as np
import pytest

from framework.data.encoding import encode
from framework.data.spec import DataSpec
from framework.data.tokenization.trainers import BytesTokenizer
from framework.data.windows import RowExamples, WindowExamples
from framework.errors import UserError
from tests.data.toy import Labeled, Stream, files

BYTES = BytesTokenizer().train(list)
LINES = ["the first line\n", "x\n", "a third and longer line of text\n", "end"]
TEXT = "".join(LINES)


@pytest.fixture
def encoded(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(TEXT)
    return encode(files(Stream(), train=str(path), test=str(path), validation_share=0), "test", Stream(), BYTES, DataSpec(261, 8))


def features_of(windows, example, offset):
    (features,) = windows.batch(np.array([example]), offset)
    return features


def predicted(windows, offset=0):
    """All pairs (token, next token) of the windows, in order."""
    rows = [features_of(windows, example, offset)["ids"] for example in range(len(windows.lengths))]
    assert [len(row) - 1 for row in rows] == windows.lengths.tolist()
    return [pair for row in rows for pair in zip(row, row[1:], strict=False)]


@pytest.mark.parametrize("length", [1, 4, 8, 50, 51, 52, 53, 200])
def test_a_ring_predicts_every_token_once_wherever_it_begins(encoded, length):
    windows = WindowExamples(encoded, length, circular=True, whole=True)
    ids = BYTES.encode(TEXT)
    ring = sorted(zip(ids, ids[1:] + ids[:1], strict=True))
    for offset in (0, 1, 17, len(ids) - 1):
        assert sorted(predicted(windows, offset)) == ring
    assert windows.lengths[:-1].tolist() == [length] * (len(windows.lengths) - 1)


@pytest.mark.parametrize("length", [1, 4, 8, 51, 200])
def test_a_line_predicts_every_token_but_the_first(encoded, length):
    windows = WindowExamples(encoded, length, circular=False, whole=True)
    ids = BYTES.encode(TEXT)
    assert predicted(windows) == list(zip(ids, ids[1:], strict=False))
    assert windows.offset(3, 4) == 0


def test_windows_of_rows_do_not_cross_them(encoded):
    windows = WindowExamples(encoded, 8, circular=False, whole=False)
    expected = [pair for line in LINES for pair in zip(BYTES.encode(line), BYTES.encode(line)[1:], strict=False)]
    assert predicted(windows) == expected
    assert windows.lengths.max() == 8
    assert [windows.raw(example)["text"] for example in range(4)] == [LINES[0], LINES[0], LINES[1], LINES[2]]


def test_all_features_are_cut_alike(encoded):
    windows = WindowExamples(encoded, 8, circular=True, whole=True)
    row = features_of(windows, 2, 13)
    assert row["bytes"] == [1] * len(row["ids"])
    assert BYTES.decode(row["ids"]) == (TEXT * 2)[29 : 29 + 9]


def counted(windows, offset=0):
    """All pairs (token, next token) of the windows that are counted, in order."""
    found = []
    for example in range(len(windows.lengths)):
        features = features_of(windows, example, offset)
        pairs = zip(features["ids"], features["ids"][1:], features["@counted"][1:], strict=False)
        found += [(one, other) for one, other, wanted in pairs if wanted]
    return found


@pytest.mark.parametrize("length", [1, 4, 8, 50, 52, 200])
def test_isolated_documents_predict_every_token_but_their_first(encoded, length):
    expected = [pair for line in LINES for pair in zip(BYTES.encode(line), BYTES.encode(line)[1:], strict=False)]
    assert counted(WindowExamples(encoded, length, circular=False, whole=True, isolated=True)) == expected
    ring = WindowExamples(encoded, length, circular=True, whole=True, isolated=True)
    for offset in (0, 1, 17, len(TEXT) - 1):
        assert sorted(counted(ring, offset)) == sorted(expected)


def test_a_window_names_the_document_of_each_token(encoded):
    windows = WindowExamples(encoded, 20, circular=True, whole=True, isolated=True)
    assert features_of(windows, 0, 0)["@documents"] == [0] * 15 + [1] * 2 + [2] * 4
    assert features_of(windows, 0, len(TEXT) - 3)["@documents"] == [0] * 3 + [1] * 15 + [2] * 2 + [3]  # the ring comes round
    assert "@documents" not in features_of(WindowExamples(encoded, 20, circular=True, whole=True), 0, 0)


def test_one_document_that_comes_round_is_two(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("abc")
    encoded = encode(files(Stream(), train=str(path), validation_share=0), "train", Stream(), BYTES, DataSpec(261, 8))
    features = features_of(WindowExamples(encoded, 8, circular=True, whole=True, isolated=True), 0, 2)
    assert BYTES.decode(features["ids"]) == "cabc"
    assert (features["@documents"], features["@counted"]) == ([0, 1, 1, 1], [0, 0, 1, 1])


@pytest.mark.parametrize("length, stride", [(8, 1), (8, 3), (8, 8), (4, 2), (50, 7), (51, 50), (200, 1), (1, 1)])
def test_a_stride_counts_every_token_once(encoded, length, stride):
    windows = WindowExamples(encoded, length, circular=False, whole=True, stride=stride)
    ids = BYTES.encode(TEXT)
    assert counted(windows) == list(zip(ids, ids[1:], strict=False))
    assert windows.lengths.max() <= length
    for example in range(1, len(windows.lengths)):
        first = features_of(windows, example, 0)["@counted"].index(1)  # number of tokens before it
        assert first > length - stride


def test_a_stride_is_for_evaluation(encoded):
    ring = WindowExamples(encoded, 8, circular=True, whole=True, stride=2)
    assert len(ring.lengths) == len(WindowExamples(encoded, 8, circular=True, whole=True).lengths)
    assert "@counted" not in features_of(ring, 0, 0)


@pytest.mark.parametrize("stride", [0, 9])
def test_a_stride_that_would_leave_tokens_out(encoded, stride):
    with pytest.raises(UserError, match=f"stride={stride} must be in \\[1, 8\\]"):
        WindowExamples(encoded, 8, circular=False, whole=True, stride=stride)


def test_a_long_row_is_read_once_for_all_its_windows(encoded, monkeypatch):
    windows = WindowExamples(encoded, 4, circular=False, whole=True)
    read = []
    raw = encoded.raw
    monkeypatch.setattr(encoded, "raw", lambda row: (read.append(row), raw(row))[1])
    rows = [windows.raw(example)["text"] for example in range(len(windows.lengths))]
    assert read == [0, 1, 2]
    assert (rows[0], rows[-1]) == (LINES[0], LINES[2])  # the last window begins in the third line


def test_the_ring_begins_elsewhere_in_every_epoch(encoded):
    windows = WindowExamples(encoded, 8, circular=True, whole=True)
    offsets = [windows.offset(0, epoch) for epoch in range(20)]
    assert offsets == [windows.offset(0, epoch) for epoch in range(20)]
    assert len(set(offsets)) > 5
    assert all(0 <= offset < len(TEXT) for offset in offsets)


def test_a_text_shorter_than_the_model(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("ab")
    encoded = encode(files(Stream(), train=str(path), validation_share=0), "train", Stream(), BYTES, DataSpec(261, 8))
    windows = WindowExamples(encoded, 8, circular=True, whole=True)
    assert BYTES.decode(features_of(windows, 0, 1)["ids"]) == "bab"


def test_features_that_are_no_running_text(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\nabc,good\n")
    encoded = encode(files(train=str(path), validation_share=0), "train", Labeled(), BYTES, DataSpec(261, 8, labels=("good",)))
    with pytest.raises(UserError, match="one number for each token"):
        WindowExamples(encoded, 8, circular=True, whole=True)
    assert np.array_equal(RowExamples(encoded).lengths, [3])
