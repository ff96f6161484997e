"""Running text as numbers: the end of documents, the shift to the targets, the bytes behind each token."""

from random import Random

import pytest
import torch

from framework.data.spec import DataSpec
from framework.data.stdlib import StandardLibrary
from framework.data.tokenization.trainers import BPETokenizer, BytesTokenizer, CharactersTokenizer, UnigramTokenizer, WordpieceTokenizer
from framework.errors import UserError
from plugins.completion.data import CompletionFormat
from plugins.completion.shift import words_of
from tests.letters import Letters

SPEC = DataSpec(vocab_size=300, max_length=8, padding=0, end=2)


def test_the_end_token_follows_a_document_and_has_no_bytes() -> None:
    assert CompletionFormat().encode({"text": "aé"}, Letters(), SPEC) == {"ids": [97, 233, 2], "bytes": [1, 2, 0], "words": [1, 0, 0]}
    without = CompletionFormat(end_of_document=False).encode({"text": "aé"}, Letters(), SPEC)
    assert without == {"ids": [97, 233], "bytes": [1, 2], "words": [1, 0]}


def test_a_row_without_a_token_is_dropped() -> None:
    assert CompletionFormat(end_of_document=False).encode({"text": ""}, Letters(), SPEC) is None
    assert CompletionFormat().encode({"text": ""}, Letters(), SPEC) == {"ids": [2], "bytes": [0], "words": [0]}


def test_an_end_needs_a_token() -> None:
    with pytest.raises(UserError, match="end_of_document=false"):
        CompletionFormat().encode({"text": "a"}, Letters(), DataSpec(vocab_size=300, max_length=8))


def row(ids: list[int], bytes: list[int], **more: list[int] | int) -> dict[str, list[int] | int]:
    return {"ids": ids, "bytes": bytes, "words": [1] * len(ids), **more}


def test_targets_are_the_next_tokens() -> None:
    rows = [row([5, 6, 7, 8], [1, 2, 3, 4]), row([9, 2], [1, 0]), row([4], [1])]
    batch = CompletionFormat().collate(rows, SPEC, Random(0))
    assert batch["ids"].tolist() == [[5, 6, 7], [9, 0, 0], [4, 0, 0]]
    assert batch["targets"].tolist() == [[6, 7, 8], [2, -100, -100], [-100, -100, -100]]
    assert batch["bytes"].tolist() == [[2, 3, 4], [0, 0, 0], [0, 0, 0]]
    assert batch["words"].tolist() == [[1, 1, 1], [1, 0, 0], [0, 0, 0]]
    assert batch["size"].tolist() == [4, 2, 1]
    assert {value.dtype for value in batch.values()} == {torch.long}


def test_texts_of_a_single_token_make_a_batch() -> None:
    batch = CompletionFormat().collate([row([4], [1])], SPEC, Random(0))
    assert (batch["ids"].tolist(), batch["targets"].tolist()) == ([[4]], [[-100]])


def test_what_is_not_counted_is_no_target() -> None:
    batch = CompletionFormat().collate(
        [row([5, 6, 7, 8], [1, 2, 3, 4], **{"@counted": [0, 0, 1, 1]}), row([9, 3], [1, 1], **{"@counted": [0, 1]})], SPEC, Random(0)
    )
    assert batch["targets"].tolist() == [[-100, 7, 8], [3, -100, -100]]
    assert batch["following"].tolist() == [[6, 7, 8], [3, 0, 0]]
    assert batch["bytes"].tolist() == [[0, 3, 4], [1, 0, 0]]
    assert batch["words"].tolist() == [[0, 1, 1], [1, 0, 0]]


def test_documents_are_named_where_a_row_holds_several() -> None:
    several = row([5, 6, 7, 8], [1] * 4, **{"@documents": [0, 0, 1, 1], "@counted": [0, 1, 0, 1]})
    one = row([5, 6, 7], [1] * 3, **{"@documents": [0, 0, 1], "@counted": [0, 1, 0]})
    batch = CompletionFormat().collate([several, one], SPEC, Random(0))
    assert batch["documents"].tolist() == [[0, 0, 1], [0, 0, -1]]
    assert "documents" not in CompletionFormat().collate([one, one], SPEC, Random(0))


@pytest.mark.parametrize(
    "trainer",
    [
        BPETokenizer(300),
        BPETokenizer(300, lowercase=True),
        WordpieceTokenizer(200),
        UnigramTokenizer(320),
        CharactersTokenizer(),
        CharactersTokenizer(unseen="unknown"),
        BytesTokenizer(),
    ],
    ids=lambda trainer: f"{type(trainer).__name__}{list(vars(trainer).values())}",
)
def test_every_tokenizer_has_the_words_of_the_text(trainer) -> None:
    """As the published figures on wikitext-2 count: what blanks part, and one for each line end."""
    texts = [" = Über <unk> @-@ 23 = \n", "The  café\tis \u00a0 closed .\n\n", "x", "🦞 lobsters\r\n", "naïve\n"]
    tokenizer = trainer.train(lambda: iter(texts[:3] * 3))
    for text in texts:
        ids, offsets = tokenizer.encode_with_offsets(text)
        assert sum(words_of(text, offsets)) == len(text.split()) + text.count("\n")
        assert len(words_of(text, offsets)) == len(ids)


def test_a_word_counts_for_the_token_it_begins_in() -> None:
    assert words_of("ab cd\n", [(0, 1), (1, 2), (2, 4), (4, 5), (5, 6)]) == [1, 0, 1, 0, 1]
    assert words_of("a b\n", [(0, 3)]) == [3]  # a line end that stands in no token
    assert words_of("é a", [(0, 1), (0, 1), (1, 3)]) == [1, 0, 1]  # two bytes of one letter
    assert words_of("", []) == []


def test_the_standard_library_is_split_by_path(tmp_path) -> None:
    for number in range(200):
        (tmp_path / f"module{number}.py").write_text(f"number = {number}\n")
    for left_out in ("test/a.py", "site-packages/a.py", "email/test/a.py", "_sysconfigdata_x.py"):
        (tmp_path / left_out).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / left_out).write_text("left = 'out'\n")
    (tmp_path / "broken.py").write_bytes(b"\xff\xfe broken\n")
    (tmp_path / "latin.py").write_bytes("# coding: latin-1\nx = 'é'\n".encode("latin-1"))
    library = StandardLibrary(tmp_path)
    found = {split: [row["text"] for row in library.rows(split, 10.0)] for split in ("train", "validation", "test")}
    everything = [text for texts in found.values() for text in texts]
    assert sorted(everything) == sorted([f"number = {number}\n" for number in range(200)] + ["# coding: latin-1\nx = 'é'\n"])
    assert all(found.values()) and len(found["train"]) > 150
    assert found["test"] == [row["text"] for row in library.rows("test", 10.0)]
    (tmp_path / "new.py").write_text("new = 1\n")
    again = {split: {row["text"] for row in library.rows(split, 10.0)} for split in found}
    assert all(set(texts) <= again[split] for split, texts in found.items())  # nobody moved


def test_builtin_rows_are_this_pythons_and_no_more_than_asked() -> None:
    texts = {split: [row["text"] for row in CompletionFormat(builtin_megabytes=0.5).builtin(split, seed=0)] for split in ("train", "test")}
    assert 0.3e6 < sum(len(text.encode()) for text in texts["train"]) <= 0.5e6
    assert 0 < sum(len(text.encode()) for text in texts["test"]) < 0.3e6
    assert not set(texts["train"]) & set(texts["test"])
    other = [row["text"] for row in CompletionFormat(builtin_megabytes=0.5).builtin("train", seed=1)]
    assert other == texts["train"]
