"""Features of words as hashed numbers, and scores of tags that are linear in them."""

from random import Random
from zlib import crc32

import pytest
import torch

from framework.data.spec import DataSpec
from plugins.ner.data import NerFormat
from plugins.ner.linear import FOLDS, LinearScores, fold_of
from plugins.ner.perceptron import Perceptron
from plugins.ner.word_features import FEATURES, PROPERTIES, properties, word_features
from tests.ner.test_task import ROWS, Letters, make_spec, make_task

BUCKETS = 1 << 20
SPEC = make_spec()


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


def test_scores_are_scaled_sums_of_the_weights_without_the_fold_of_a_row():
    torch.manual_seed(0)
    linear, features = LinearScores(50, tags=3).double(), torch.randint(50, (2, 4, 6))
    assert not linear(features).any()
    tables = {fold: torch.randn(50, 3, dtype=torch.float64) for fold in (None, *range(FOLDS))}
    linear.set(list(tables.values()))
    linear.scale.data.fill_(0.25)

    def by_hand(fold, row):
        return 0.25 * sum(tables[fold][features[row, :, each]] for each in range(6))

    torch.testing.assert_close(linear(features), torch.stack([by_hand(None, 0), by_hand(None, 1)]))
    torch.testing.assert_close(linear(features, torch.tensor([1, 0])), torch.stack([by_hand(1, 0), by_hand(0, 1)]))


@pytest.mark.parametrize("scheme", ["iob2", "iobes"])
def test_a_task_adds_scores_of_a_tagger_that_has_not_seen_the_row_it_trains_on(scheme):
    form = NerFormat(overlap=2, scheme=scheme, word_features=97)
    task, plain = make_task(format=form, dropout=0.0), make_task(format=NerFormat(overlap=2, scheme=scheme), dropout=0.0)
    task.load_state_dict({**task.state_dict(), **plain.state_dict()})
    task.set_initial_weights(ROWS, [])
    batch = form.collate([form.encode(row, Letters(), SPEC) for row in ROWS], SPEC, Random(0))
    parsed = [form.parse(row) for row in ROWS]
    folds = batch["fold"].tolist()
    assert set(folds) == set(range(FOLDS)) and folds == [fold_of(row.tokens) for row in parsed]
    for training in (False, True):
        scores, without = task.train(training).words(batch).scores, plain.train(training).words(batch).scores
        for row, fold, found, before in zip(parsed, folds, scores, without, strict=True):
            others = [other for other, its in zip(parsed, folds, strict=True) if not training or its != fold]
            weights = Perceptron(others, SPEC.labels, scheme, 97).weights[word_features(row.tokens, 97)]  # (W, K, C)
            added = 0.1 * torch.from_numpy(weights).sum(dim=1)
            aligned = [any(char.isalpha() for char in token) for token in row.tokens]
            torch.testing.assert_close(found[: len(added)][aligned], (before[: len(added)] + added)[aligned])
            assert torch.equal(found[: len(added)][[not each for each in aligned]], before[: len(added)][[not each for each in aligned]])


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
