"""Published tokenizers in all their layouts give the ids of `transformers`."""

import json

import pytest
import transformers.convert_slow_tokenizer
from transformers import BertTokenizer, GPT2Tokenizer, LlamaTokenizer, RobertaTokenizer, T5Tokenizer

from framework.data.tokenization.layouts import published_tokenizer
from framework.data.tokenization.tokenizer import Tokenizer
from tests.data.published_toys import SPELLED, TEXTS, byte_level_folder, t5_folder, wordpiece_folder
from tests.data.test_sentencepiece import llama_folder

ROBERTA = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
CASES = {
    "BERT": (wordpiece_folder, {}, BertTokenizer),
    "BERT, cased": (wordpiece_folder, {"do_lower_case": False}, BertTokenizer),
    "BERT, accents kept": (wordpiece_folder, {"strip_accents": False, "tokenize_chinese_chars": False}, BertTokenizer),
    "BERT, names of its own": (
        wordpiece_folder,
        {"names": ("<pad>", "<unk>", "<s>", "</s>", "<m>"), "unk_token": "<unk>", "pad_token": "<pad>", "cls_token": "<s>"}
        | {"sep_token": "</s>", "mask_token": "<m>"},
        BertTokenizer,
    ),
    "GPT-2": (byte_level_folder, {}, GPT2Tokenizer),
    "GPT-2, a space before": (byte_level_folder, {"add_prefix_space": True}, GPT2Tokenizer),
    "GPT-2, padding added": (byte_level_folder, {"pad_token": "[PAD]", "unk_token": "<|endoftext|>"}, GPT2Tokenizer),
    "RoBERTa": (byte_level_folder, {"special": ROBERTA}, RobertaTokenizer),
    "T5": (t5_folder, {}, T5Tokenizer),
    "T5, fewer sentinels": (t5_folder, {"extra_ids": 3}, T5Tokenizer),
    "T5, characters as they are": (t5_folder, {"mapped": False}, T5Tokenizer),
    "Llama": (llama_folder, {}, LlamaTokenizer),
}


@pytest.fixture(autouse=True)
def no_sentencepiece(monkeypatch):
    """transformers needs only protobuf for such a file, but checks that sentencepiece is installed."""
    monkeypatch.setattr(transformers.convert_slow_tokenizer, "requires_backends", lambda *_: None)


@pytest.fixture(params=CASES)
def case(request, tmp_path):
    """Our tokenizer, and the one of transformers, from the same folder."""
    write, values, theirs = CASES[request.param]
    folder = write(tmp_path, **values)
    return published_tokenizer(folder), theirs.from_pretrained(folder)


def test_the_ids_are_those_of_transformers(case):
    ours, theirs = case
    # sentencepiece puts a space before a text that begins with one too (tests/data/test_sentencepiece.py); LlamaTokenizer does not
    for text in (text for text in TEXTS if not (isinstance(theirs, LlamaTokenizer) and text.startswith(" "))):
        assert ours.encode(text) == theirs.encode(text, add_special_tokens=False), text
    assert len({id for text in TEXTS for id in ours.encode(text)}) > 25


def test_what_is_decoded_is_the_same(case):
    ours, theirs = case
    for text in TEXTS:
        ids = ours.encode(text)
        assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=True), text


def test_every_id_has_the_same_token_and_special_ones_are_known(case):
    ours, theirs = case
    assert [ours.backend.id_to_token(id) for id in range(ours.vocab_size)] == theirs.convert_ids_to_tokens(range(len(theirs)))
    roles = {"padding": theirs.pad_token_id, "end": theirs.sep_token_id if theirs.sep_token else theirs.eos_token_id}
    roles |= {"begin": theirs.cls_token_id if theirs.cls_token else theirs.bos_token_id, "mask": theirs.mask_token_id}
    assert {name: ours.special_ids[name] for name in roles} == roles
    marked = {token["id"] for token in json.loads(ours.to_json())["added_tokens"] if token["special"]}
    assert marked >= {id for id in ours.special_ids.values() if id is not None}
    assert marked == {id for id, token in theirs.added_tokens_decoder.items() if token.special}


def test_a_text_is_never_a_special_token(case):
    ours, _ = case
    special = {id for name, id in ours.special_ids.items() if name != "unknown"}
    special |= {ours.backend.token_to_id(token) for token in ("<extra_id_0>", "<extra_id_1>", "<0x41>")}
    for text in SPELLED:
        assert not (special - {None}) & set(ours.encode(text)), text


def without_scores(tokenizer):
    """The library may change the last digit of a number when it saves and loads it."""
    described = json.loads(tokenizer.to_json())
    if described["model"]["type"] == "Unigram":
        described["model"]["vocab"] = [[text, round(score, 9)] for text, score in described["model"]["vocab"]]
    return described


def test_saved_it_is_the_same(case, tmp_path):
    ours, _ = case
    ours.save(tmp_path / "run.json")
    loaded = Tokenizer.load(tmp_path / "run.json")
    assert without_scores(loaded) == without_scores(ours)
    assert [loaded.encode(text) for text in TEXTS + SPELLED] == [ours.encode(text) for text in TEXTS + SPELLED]


@pytest.mark.parametrize("name", ["GPT-2", "GPT-2, a space before", "RoBERTa", "Llama"])
def test_bytes_and_round_trips(name, tmp_path):
    write, values, _ = CASES[name]
    ours = published_tokenizer(write(tmp_path, **values))
    for text in (text for text in TEXTS + SPELLED if not text.startswith(" ")):
        ids = ours.encode(text)
        assert sum(ours.byte_lengths(ids)) == len(text.encode()), text
        assert ours.decode(ids).removeprefix(" ") == text


def test_t5_counts_the_bytes_of_its_pieces(tmp_path):
    ours = published_tokenizer(t5_folder(tmp_path))
    for text in ("the cat sat on the mat", "chasing cats"):
        assert sum(ours.byte_lengths(ours.encode(text))) == len(text)
    assert ours.byte_lengths([0, 1, 2, ours.backend.token_to_id("<extra_id_0>")]) == [0, 0, 0, 0]


def test_wordpiece_decodes_as_people_write(tmp_path):
    ours = published_tokenizer(wordpiece_folder(tmp_path))
    ids = ours.encode("The Cats, chasing mice.")
    assert ours.decode([2, *ids, 3, 0]) == "the cats, chasing mice."


def test_sentinels_run_backwards(tmp_path):
    ours = published_tokenizer(t5_folder(tmp_path))
    assert ours.backend.token_to_id("<extra_id_0>") == ours.vocab_size - 1 == ours.backend.token_to_id("<extra_id_99>") + 99
    assert ours.with_special_tokens(["<extra_id_0>", "<extra_id_1>"]).vocab_size == ours.vocab_size
