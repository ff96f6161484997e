"""Data sets in the layout of the Hugging Face Hub, from a folder; without a network the error is immediate."""

import socket
import time

import datasets
import huggingface_hub.constants
import pyarrow
import pyarrow.parquet
import pytest

from framework.data.sources import hub
from framework.data.sources.hub import HubData
from framework.errors import UserError
from framework.registry import Part
from framework.utils.hub import reachable
from tests.data.toy import Labeled, Pairs, Tagged


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path_factory):
    """No network, and a separate cache of `datasets`."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("datasets")))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def source(path, format=None, **values):
    return HubData(format or Labeled(), 0, path=str(path), batches=Part("batches/rows"), **values)


@pytest.fixture
def folder(tmp_path):
    """train and test as parquet; labels are numbers with names."""
    features = datasets.Features({"sentence": datasets.Value("string"), "label": datasets.ClassLabel(names=["bad", "good"])})
    for split, rows in {"train": 20, "test": 3}.items():
        values = {"sentence": [f"{split} {number}" for number in range(rows)], "label": [number % 2 for number in range(rows)]}
        datasets.Dataset.from_dict(values, features=features).to_parquet(tmp_path / f"{split}.parquet")
    return tmp_path


def test_a_folder_with_named_labels(folder):
    data = source(folder, columns={"text": "sentence"}, validation_share=0.1)
    data.check()
    assert data.splits == ("train", "validation", "test")
    assert list(data.rows("test")) == [
        ({"text": f"test {number}", "label": ("bad", "good")[number % 2]}, f"{folder} test, row {number + 1}") for number in range(3)
    ]
    assert [len(list(data.rows(split))) for split in ("train", "validation")] == [18, 2]


def test_a_label_below_zero_is_none(folder):
    features = datasets.Features({"label": datasets.ClassLabel(names=["bad", "good"])})
    assert [hub.label_name(features["label"], value) for value in (-1, 0, 1)] == [None, "bad", "good"]


def test_tags_are_lists_of_numbers_with_names(tmp_path):
    features = datasets.Features(
        {
            "tokens": datasets.Sequence(datasets.Value("string")),
            "ner_tags": datasets.Sequence(datasets.ClassLabel(names=["O", "B-ORG"])),
        }
    )
    rows = {"tokens": [["EU", "rejects"]] * 20, "ner_tags": [[1, 0]] * 20}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "train.parquet")
    data = source(tmp_path, Tagged(), columns={"tags": "ner_tags"}, validation_share=0.1, test_share=0.25)
    data.check()
    assert [row for row, _ in data.rows("test")] == [{"tokens": ["EU", "rejects"], "tags": ["B-ORG", "O"]}] * 5
    assert [len(list(data.rows(split))) for split in data.splits] == [13, 2, 5]


def test_several_references(tmp_path):
    (tmp_path / "train.jsonl").write_text('{"source": "a", "one": "b", "two": "c"}\n{"source": "d", "one": "e", "two": null}\n')
    data = source(tmp_path, Pairs(), columns={"target": ["one", "two"]}, validation_share=0)
    assert [row["target"] for row, _ in data.rows("train")] == [["b", "c"], "e"]


def test_nested_columns(tmp_path):
    (tmp_path / "train.jsonl").write_text('{"translation": {"en": "one", "de": "eins"}}\n')
    data = source(tmp_path, Pairs(), columns={"source": "translation.en", "target": "translation.de"}, validation_share=0)
    assert [row for row, _ in data.rows("train")] == [{"source": "one", "target": "eins"}]


def test_paths_lead_to_labels_with_names(tmp_path):
    label = datasets.ClassLabel(names=["bad", "good"])
    features = datasets.Features({"turns": [{"text": datasets.Value("string"), "label": label}], "meta": {"label": label}})
    rows = {"turns": [[{"text": "a", "label": 1}, {"text": "b", "label": 0}]], "meta": [{"label": 1}]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "train.parquet")
    for path, name in (("meta.label", "good"), ("turns.0.label", "good"), ("turns.-1.label", "bad")):
        data = source(tmp_path, columns={"text": "turns.0.text", "label": path}, validation_share=0)
        assert [row for row, _ in data.rows("train")] == [{"text": "a", "label": name}]
    data = source(tmp_path, columns={"text": "turns.0.text", "label": "{meta.label}!"}, validation_share=0)
    assert [row["label"] for row, _ in data.rows("train")] == ["good!"]


def test_rows_that_cannot_be_read_have_their_place(tmp_path):
    late = pyarrow.array([0, 10**15], pyarrow.timestamp("ms"))
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a", "b"], "label": ["x", "y"], "at": late}), tmp_path / "train.parquet")
    with pytest.raises(UserError, match=r"train, row [12] cannot be read: "):
        list(source(tmp_path, validation_share=0).rows("train"))


def test_the_fingerprint_follows_the_rows(folder):
    before = source(folder, columns={"text": "sentence"}).fingerprint("train")
    assert before == source(folder, columns={"text": "sentence"}).fingerprint("train")
    (folder / "train.parquet").write_bytes((folder / "test.parquet").read_bytes())
    assert before != source(folder, columns={"text": "sentence"}).fingerprint("train")


def test_missing_columns_and_splits(folder):
    with pytest.raises(UserError, match=r"row 1: there is no column 'sentense' \(did you mean 'sentence'\?\)"):
        source(folder, columns={"text": "sentense"}).check()
    with pytest.raises(UserError, match=r"has no split 'trian' \(did you mean 'train'\?\); it has: train, test"):
        source(folder, train="trian").check()


def test_a_folder_without_data(tmp_path):
    with pytest.raises(UserError, match="cannot be read as a data set"):
        source(tmp_path).check()


def test_no_name():
    with pytest.raises(UserError, match="data=hub needs a data set: set data.path=NAME"):
        HubData(Labeled(), 0, batches=Part("batches/rows")).check()


def test_offline_the_error_is_immediate():
    began = time.monotonic()
    with pytest.raises(UserError, match="the Hugging Face Hub cannot be reached and 'nobody/nothing' was not downloaded before") as caught:
        source("nobody/nothing").check()
    assert time.monotonic() - began < 5
    assert "data.path=FOLDER" in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 6


def test_whether_the_hub_can_be_reached(monkeypatch):
    def refuse(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    for name in ("HTTPS_PROXY", "https_proxy", "HF_ENDPOINT", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    assert not reachable()
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    assert reachable()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert not reachable()
