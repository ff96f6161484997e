"""Masked and causal rows: what is hidden and told, the same in any company; gaps of a text to predict; where words begin."""

from random import Random

import numpy as np
import pytest
import torch

from framework.data.spec import DataSpec
from framework.data.tokenization.trainers import BPETokenizer, WordpieceTokenizer
from framework.errors import UserError
from plugins.pretraining.masked import MaskedFormat, word_begins
from plugins.pretraining.running_text import CausalFormat
from tests.letters import Letters

SPEC = DataSpec(vocab_size=200, max_length=80, padding=0, begin=1, end=2, unknown=3, mask=4)


def row(length, seed=0):
    return {"ids": np.random.default_rng(seed).integers(5, 200, length).tolist()}


def test_of_what_is_to_be_told_most_is_masked_some_replaced_some_stays():
    format, spec = MaskedFormat(share=0.5), DataSpec(5000, 40_003, 0, 1, 2, 3, 4)
    ids = np.random.default_rng(0).integers(5, 5000, 40_000)
    batch = format.collate([{"ids": ids.tolist()}], spec, Random(0))
    read, targets = batch["ids"][0, 1:-1].numpy(), batch["targets"][0, 1:-1].numpy()
    told = targets != -100
    assert told.sum() == 20_000 and (targets[told] == ids[told]).all() and (read[~told] == ids[~told]).all()
    masked, kept = read[told] == 4, read[told] == ids[told]
    assert masked.mean() == pytest.approx(0.8, abs=0.01)
    assert kept.mean() == pytest.approx(0.1, abs=0.01)
    replaced = read[told][~masked & ~kept]
    assert replaced.min() >= 5 and len({*replaced.tolist()}) > 1000  # by any token that texts are made of


def test_special_tokens_are_not_hidden_and_a_window_stands_between_begin_and_end():
    batch = MaskedFormat(share=0.9).collate([{"ids": [7, 2, 8, 3, 9]}], SPEC, Random(0))
    assert (batch["ids"][0, 0], batch["ids"][0, -1]) == (1, 2) and batch["padding_mask"] is None
    assert batch["targets"][0].tolist() == [-100, 7, -100, 8, -100, 9, -100]


def test_rows_of_unequal_length_are_filled_up():
    batch = MaskedFormat().collate([row(7), row(3, 1)], SPEC, Random(0))
    assert batch["ids"].shape == batch["targets"].shape == batch["padding_mask"].shape == (2, 9)
    assert (
        batch["padding_mask"].sum(dim=1).tolist() == [9, 5] and (batch["ids"][1, 5:] == 0).all() and (batch["targets"][1, 4:] == -100).all()
    )


def test_noise_is_the_rows_own():
    """In evaluation, where every batch gets the same random, the figures do not depend on how rows are batched."""
    format, rows = MaskedFormat(), [row(20, seed) for seed in range(4)]
    together = format.collate(rows, SPEC, Random("collate"))
    alone = [format.collate([row], SPEC, Random("collate")) for row in rows]
    for name in ("ids", "targets"):
        assert torch.equal(together[name], torch.cat([batch[name] for batch in alone]))
    assert not torch.equal(together["targets"], format.collate(rows, SPEC, Random("another"))["targets"])


def test_whole_words():
    tokenizer = WordpieceTokenizer(min_frequency=99).train(lambda: ["hidden words are hidden whole, whichever words"])
    spec = DataSpec(tokenizer.vocab_size, 40, **{**tokenizer.special_ids, "padding": 0})
    features = MaskedFormat(whole_words=True, end_of_document=False).encode({"text": "hidden whichever, are"}, tokenizer, spec)
    assert set(features) == {"ids", "begins"} and len(features["ids"]) == len(features["begins"])
    words = np.cumsum(features["begins"])
    assert words[-1] == 4 < len(words)  # the comma is a word
    for seed in range(30):
        told = MaskedFormat(whole_words=True).collate([features], spec, Random(seed))["targets"][0, 1:-1].numpy() != -100
        assert {*np.flatnonzero(told)} == {place for place in range(len(words)) if words[place] in words[told]}


@pytest.mark.parametrize("make", [WordpieceTokenizer, BPETokenizer])
def test_words_begin_where_spaces_and_signs_say(make):
    text = "Don't stop, unbelievable_things étude 42nd"
    tokenizer = make(vocab_size=300).train(lambda: [text])
    ids, offsets = make(vocab_size=300, min_frequency=99).train(lambda: [text]).encode_with_offsets(text)  # nearly letter by letter
    begins = word_begins(text, offsets)
    found = [text[offsets[place][0] :].split()[0] for place in np.flatnonzero(begins) if text[slice(*offsets[place])].strip()]
    starts = [found[number].split("'")[0].split(",")[0] or found[number][0] for number in range(len(found))]
    assert starts == ["Don", "'", "t", "stop", ",", "unbelievable_things", "étude", "42nd"]
    assert sum(begins) <= len(ids) and tokenizer.vocab_size > 5


def test_a_documents_end_is_marked_by_choice():
    assert MaskedFormat().encode({"text": "ab"}, Letters(), SPEC) == {"ids": [97, 98, 2]}
    assert MaskedFormat(end_of_document=False).encode({"text": "ab"}, Letters(), SPEC) == {"ids": [97, 98]}
    assert MaskedFormat().encode({"text": ""}, Letters(), SPEC) is None
    with pytest.raises(UserError, match="needs a tokenizer with an end token"):
        MaskedFormat().encode({"text": "ab"}, Letters(), DataSpec(200, 80, mask=4))
    with pytest.raises(UserError, match="needs a tokenizer with a mask token"):
        MaskedFormat().collate([row(3)], DataSpec(200, 80), Random(0))
    with pytest.raises(ValueError, match="'text' must be a text, and is 7 of type int"):
        MaskedFormat().encode({"text": 7}, Letters(), SPEC)


def test_a_gap_that_somebody_typed_is_a_mask_and_nothing_else_is_hidden():
    format = MaskedFormat()
    features = format.encode(format.from_text("a [MASK]b [MASK]"), Letters(), SPEC)
    assert features == {"ids": [97, 4, 98, 4]}
    batch = format.collate([features], SPEC, Random(0))
    assert batch["ids"][0].tolist() == [1, 97, 4, 98, 4, 2] and (batch["targets"] == -100).all()
    assert format.encode({"text": "[MASK]"}, Letters(), SPEC)["ids"] == [*map(ord, "[MASK]"), 2]  # a text that says so is a text
    with pytest.raises(ValueError, match="has 101 tokens; gaps are filled in at most 78"):
        format.encode(format.from_text("a" * 100 + "[MASK]"), Letters(), SPEC)


def test_a_text_to_predict_that_is_too_long_is_cut():
    assert MaskedFormat().collate([row(500)], SPEC, Random(0))["ids"].shape[1] == SPEC.max_length


def test_causal_rows():
    format = CausalFormat()
    assert format.encode(format.from_text("ab"), Letters(), SPEC) == {"ids": [97, 98, 2]}
    batch = format.collate([{"ids": [5, 6, 7]}, {"ids": [8]}], SPEC, Random(0))
    assert batch["ids"].tolist() == [[5, 6], [8, 0]] and batch["targets"].tolist() == [[6, 7], [-100, -100]]
