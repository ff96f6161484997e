"""Spoiled text and what was there: nothing gets lost, everything fits the model, gaps that somebody typed."""

from random import Random

import numpy as np
import pytest
import torch

from framework.data.spec import DataSpec
from framework.data.tokenization.trainers import BytesTokenizer
from plugins.pretraining.denoising import InfillingFormat, SpanCorruptionFormat, filled, sentence_begins
from tests.letters import Letters

SENTINELS = tuple(range(200, 220))
SPEC = DataSpec(vocab_size=220, max_length=64, padding=0, begin=1, end=2, unknown=3, mask=4, special_ids=SENTINELS)


def row(length, seed=0, **more):
    return {"ids": np.random.default_rng(seed).integers(5, 200, length).tolist(), **more}


def read(batch, name, number=0):
    return [id for id in batch[name][number].tolist() if id not in (0, -100)]


@pytest.mark.parametrize("length", [1, 2, 3, 10, 61])
@pytest.mark.parametrize("options", [{}, {"share": 0.5}, {"share": 0.9, "span": 1.0}, {"share": 0.3, "span": 10.0}])
def test_the_spans_fill_the_source_again(length, options):
    format = SpanCorruptionFormat(sentinels=20, **options)
    for seed in range(20):
        features = row(length, seed)
        batch = format.collate([features], SPEC, Random(seed))
        source, written = read(batch, "source"), read(batch, "targets")
        assert filled(source[:-1], written[:-1], SENTINELS) == features["ids"]
        assert source[-1] == written[-1] == 2  # both end
        marks = [id for id in written if id in SENTINELS]
        assert marks == list(SENTINELS[: len(marks)]) and [id for id in source if id in SENTINELS] == marks[:-1]
        assert max(batch["source"].shape[1], batch["targets"].shape[1]) <= SPEC.max_length
        taken = len(written) - len(marks) - 1
        assert taken == min(max(1, round(length * format.share)), max(1, length - 1))


def test_the_decoder_reads_what_it_has_written():
    batch = SpanCorruptionFormat(sentinels=20).collate([row(30), row(9, 1)], SPEC, Random(0))
    assert (batch["target"][:, 0] == 1).all()
    told = batch["targets"][:, 1:] != -100
    assert torch.equal(batch["target"][:, 1:][told], batch["targets"][:, :-1][told])
    assert batch["source_padding_mask"].sum(dim=1).tolist() == [len(read(batch, "source", number)) for number in (0, 1)]


def test_mean_lengths_are_the_papers():
    """15 % of 512 tokens in spans of 3: 26 spans."""
    spec = DataSpec(2000, 600, 0, 1, 2, 3, 4, special_ids=tuple(range(1900, 2000)))
    batch = SpanCorruptionFormat().collate([{"ids": list(range(5, 517))}], spec, Random(0))
    assert sum(id >= 1900 for id in read(batch, "source")) == 26
    assert len(read(batch, "targets")) == 77 + 27 + 1


def test_a_format_asks_for_its_sentinels():
    assert SpanCorruptionFormat(sentinels=3).special_tokens == ("<extra_id_0>", "<extra_id_1>", "<extra_id_2>")
    plain = BytesTokenizer().train(lambda: iter(()))
    more = plain.with_special_tokens(SpanCorruptionFormat(sentinels=3).special_tokens)
    assert more.vocab_size == plain.vocab_size + 3
    assert more.encode("a <extra_id_0> b") == plain.encode("a <extra_id_0> b")  # a text that says so is a text
    assert more.decode([more.vocab_size - 1, *more.encode("a")]) == "a"
    assert more.with_special_tokens(("<extra_id_0>",)).vocab_size == more.vocab_size


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_infilling_keeps_what_it_does_not_take(share):
    format = InfillingFormat(share=share, permute_sentences=False) if share else InfillingFormat(share=share)
    for seed in range(20):
        features = row(40, seed, **({} if share else {"begins": [0] * 40}))
        batch = format.collate([features], SPEC, Random(seed))
        source, written = read(batch, "source"), read(batch, "targets")
        assert written == [*features["ids"], 2] and source[-1] == 2
        kept = [id for id in source[:-1] if id != 4]
        assert len(kept) == 40 - round(share * 40)
        remaining = iter(features["ids"])
        assert all(id in remaining for id in kept)  # in order
        assert (4 in source) == bool(share) and len(source) <= SPEC.max_length


def test_sentences_change_places_whole():
    begins = [1, 0, 0, 1, 0, 1, 0, 0, 0, 1]
    features = {"ids": list(range(10, 20)), "begins": begins}
    sentences = [[10, 11, 12], [13, 14], [15, 16, 17, 18], [19]]
    orders = set()
    for seed in range(40):
        source = read(InfillingFormat(share=0.0).collate([features], SPEC, Random(seed)), "source")[:-1]
        order = [next(number for number, ids in enumerate(sentences) if ids[0] == id) for id in source if id in (10, 13, 15, 19)]
        assert source == [id for number in order for id in sentences[number]]
        orders.add(tuple(order))
    assert len(orders) > 10


def test_where_sentences_begin():
    text = 'One. Two? "Yes." Four\nfive 3.5 six'
    offsets = [(at, at + 1) for at in range(len(text))]
    begins = sentence_begins(text, offsets)
    assert [text[at:].split()[0] for at, begin in enumerate(begins) if begin] == ["One.", "Two?", '"Yes."', "Four", "five"]
    assert InfillingFormat().encode({"text": "a. b"}, Letters(), SPEC) == {"ids": [*map(ord, "a. b")], "begins": [1, 0, 0, 1]}


def test_gaps_that_somebody_typed():
    spans, whole = SpanCorruptionFormat(sentinels=20), InfillingFormat()
    features = spans.encode(spans.from_text("a [MASK] b[MASK]"), Letters(), SPEC)
    assert features == {"ids": [97, 200, 32, 98, 201]}
    batch = spans.collate([features], SPEC, Random(0))
    assert read(batch, "source") == [97, 200, 32, 98, 201, 2] and batch["target"][:, :1].tolist() == [[1]]
    assert whole.encode(whole.from_text("a[MASK]b"), Letters(), SPEC) == {"ids": [97, 4, 98], "begins": [0, 0, 0]}
    with pytest.raises(ValueError, match="the text has 20 gaps; at most 19"):
        spans.encode(spans.from_text("[MASK]" * 20), Letters(), SPEC)


def test_what_is_written_behind_no_sentinel_of_the_source_is_left_out():
    assert filled([7, 200, 8, 201, 9], [50, 200, 51, 52, 202, 53, 201], SENTINELS) == [7, 51, 52, 8, 9]
