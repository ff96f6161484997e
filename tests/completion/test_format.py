"""Running text as numbers: the end of documents, the shift to the targets, the bytes behind each token."""

from random import Random

import pytest
import torch

from framework.data.facts import Facts
from framework.errors import UserError
from plugins.completion.builtin import files
from plugins.completion.data import CompletionFormat
from tests.letters import Letters

FACTS = Facts(vocabulary=300, max_length=8, padding=0, end=2)


def test_the_end_token_follows_a_document_and_has_no_bytes() -> None:
    assert CompletionFormat().encode({"text": "aé"}, Letters(), FACTS) == {"ids": [97, 233, 2], "bytes": [1, 2, 0]}
    assert CompletionFormat(end_of_document=False).encode({"text": "aé"}, Letters(), FACTS) == {"ids": [97, 233], "bytes": [1, 2]}


def test_a_row_without_a_token_is_dropped() -> None:
    assert CompletionFormat(end_of_document=False).encode({"text": ""}, Letters(), FACTS) is None
    assert CompletionFormat().encode({"text": ""}, Letters(), FACTS) == {"ids": [2], "bytes": [0]}


def test_an_end_needs_a_token() -> None:
    with pytest.raises(UserError, match="end_of_document=false"):
        CompletionFormat().encode({"text": "a"}, Letters(), Facts(vocabulary=300, max_length=8))


def test_targets_are_the_next_tokens() -> None:
    rows = [{"ids": [5, 6, 7, 8], "bytes": [1, 2, 3, 4]}, {"ids": [9, 2], "bytes": [1, 0]}, {"ids": [4], "bytes": [1]}]
    batch = CompletionFormat().collate(rows, FACTS, Random(0))
    assert batch["ids"].tolist() == [[5, 6, 7], [9, 0, 0], [4, 0, 0]]
    assert batch["targets"].tolist() == [[6, 7, 8], [2, -100, -100], [-100, -100, -100]]
    assert batch["bytes"].tolist() == [[2, 3, 4], [0, 0, 0], [0, 0, 0]]
    assert {value.dtype for value in batch.values()} == {torch.long}


def test_texts_of_a_single_token_make_a_batch() -> None:
    batch = CompletionFormat().collate([{"ids": [4], "bytes": [1]}], FACTS, Random(0))
    assert (batch["ids"].tolist(), batch["targets"].tolist()) == ([[4]], [[-100]])


def test_the_standard_library_is_split_by_path(tmp_path) -> None:
    for number in range(200):
        (tmp_path / f"module{number}.py").write_text(f"number = {number}\n")
    for left_out in ("test/a.py", "site-packages/a.py", "email/test/a.py", "_sysconfigdata_x.py"):
        (tmp_path / left_out).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / left_out).write_text("left = 'out'\n")
    (tmp_path / "broken.py").write_bytes(b"\xff\xfe broken\n")
    (tmp_path / "latin.py").write_bytes("# coding: latin-1\nx = 'é'\n".encode("latin-1"))
    found = {split: [row["text"] for row in files(split, 10.0, tmp_path)] for split in ("train", "validation", "test")}
    everything = [text for texts in found.values() for text in texts]
    assert sorted(everything) == sorted([f"number = {number}\n" for number in range(200)] + ["# coding: latin-1\nx = 'é'\n"])
    assert all(found.values()) and len(found["train"]) > 150
    assert found["test"] == [row["text"] for row in files("test", 10.0, tmp_path)]
    (tmp_path / "new.py").write_text("new = 1\n")
    again = {split: {row["text"] for row in files(split, 10.0, tmp_path)} for split in found}
    assert all(set(texts) <= again[split] for split, texts in found.items())  # nobody moved


def test_builtin_rows_are_this_pythons_and_no_more_than_asked() -> None:
    texts = {split: [row["text"] for row in CompletionFormat(builtin_megabytes=0.5).builtin(split, seed=0)] for split in ("train", "test")}
    assert 0.3e6 < sum(len(text.encode()) for text in texts["train"]) <= 0.5e6
    assert 0 < sum(len(text.encode()) for text in texts["test"]) < 0.3e6
    assert not set(texts["train"]) & set(texts["test"])
    other = [row["text"] for row in CompletionFormat(builtin_megabytes=0.5).builtin("train", seed=1)]
    assert other == texts["train"]
