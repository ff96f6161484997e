"""Features of words as hashed numbers, and scores of tags that are linear in them."""

from random import Random
from zlib import crc32

import pytest
import torch

from framework.data.spec import DataSpec
from plugins.ner.data import NerFormat
from plugins.ner.linear import LinearScores
from plugins.ner.word_features import FEATURES, PROPERTIES, properties, word_features
from tests.ner.test_task import Letters, make_spec

BUCKETS = 1 << 20


def by_formula(tokens, place, number, feature, buckets):
    """A feature by the words of the documentation, with Python's integers."""
    hashed = number + 1
    for distance, name in feature:
        there = place + distance
        word = tokens[there] if 0 <= there < len(tokens) else ""
        value = properties(word)[PROPERTIES.index(name)]
        hashed = (hashed ^ crc32(value.encode())) * 0x9E3779B97F4A7C15 % 2**64
    return (hashed >> 32) % buckets


def test_properties_of_a_word():
    expected = ("McDonald's", "mcdonald's", "m", "mc", "mcd", "mcdo", "s", "'s", "d's", "ld's", "XxXxxxxx'x", "XxXx'x")
    assert dict(zip(PROPERTIES, properties("McDonald's"), strict=True)) == dict(zip(PROPERTIES, expected, strict=True))
    assert properties("B-52")[-2:] == ["X-dd", "X-d"] and properties("日本")[-1] == "x"
    assert set(properties("")) == {""}


@pytest.mark.parametrize("tokens", [["Ulm"], ["In", "New", "York", ",", "1990"], []])
def test_features_follow_their_formula(tokens):
    expected = [[by_formula(tokens, place, *each, 997) for each in enumerate(FEATURES)] for place in range(len(tokens))]
    assert word_features(tokens, 997).tolist() == expected


def test_features_tell_words_and_their_neighbors_apart():
    names = [name for feature in FEATURES for _, name in feature]
    assert set(names) == set(PROPERTIES)
    here = word_features(["a", "b", "c", "d", "e", "f", "g"], BUCKETS)
    for changed in range(7):
        other = word_features(
            ["a", "b", "c", "d", "e", "f", "g"][:changed] + ["Z9"] + ["a", "b", "c", "d", "e", "f", "g"][changed + 1 :], BUCKETS
        )
        assert [place for place in range(7) if (here[place] != other[place]).any()] == [p for p in range(7) if abs(p - changed) <= 2]


def test_scores_are_sums_of_weights_and_training_leaves_features_out():
    torch.manual_seed(0)
    linear, features = LinearScores(50, tags=3, dropout=0.5).double(), torch.randint(50, (2, 4, 6))
    assert not linear(features).any()
    torch.nn.init.normal_(linear.weights.weight)
    linear.eval()
    by_hand = sum(linear.weights.weight[features[:, :, each]] for each in range(6)) * LinearScores.SCALE
    torch.testing.assert_close(linear(features), by_hand)
    linear.train()
    mean = torch.stack([linear(features) for _ in range(4000)]).mean(dim=0)
    assert not torch.equal(linear(features), by_hand)
    torch.testing.assert_close(mean, by_hand, rtol=0, atol=0.05 * float(by_hand.abs().max()))


@pytest.mark.parametrize("max_length", [40, 8])
def test_a_batch_has_the_features_of_its_words(max_length):
    form, spec = NerFormat(overlap=2, word_features=997), make_spec(max_length=max_length)
    rows = [{"tokens": ["Bo", "left", "Ulm"]}, {"text": "Bo,  am See am"}]
    batch = form.collate([form.encode(row, Letters(), spec) for row in rows], spec, Random(0))
    assert batch["word_features"].shape == (2, 5, len(FEATURES))
    for number, tokens in enumerate((["Bo", "left", "Ulm"], ["Bo", ",", "am", "See", "am"])):
        assert batch["word_features"][number, : len(tokens)].tolist() == word_features(tokens, 997).tolist()
    assert "word_features" not in NerFormat().collate(
        [NerFormat().encode(rows[0], Letters(), DataSpec(40, 40))], DataSpec(40, 40), Random(0)
    )
