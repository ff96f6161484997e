"""The averaged structured perceptron, against averages of stored weights and a search through all sequences."""

from collections import Counter
from itertools import product
from random import Random

import numpy as np
import pytest

from plugins.ner import perceptron
from plugins.ner.perceptron import Perceptron
from plugins.ner.schemes import Tag, may_follow, parse, tags_of
from plugins.ner.sentences import sentence
from plugins.ner.word_features import word_features

BUCKETS = 64
ROWS = [
    sentence({"tokens": tokens.split(), "tags": tags.split()})
    for tokens, tags in (
        ("Bo left Ulm", "B-who O B-place"),
        ("New Ulm", "B-place I-place"),
        ("Bo Ulm left", "B-who I-who O"),
        ("in Ulm", "O B-place"),
    )
]


def tagger(rows=ROWS, scheme="iob2"):
    return Perceptron(rows, ["place", "who"], scheme, BUCKETS)


def legal(path, tags, scheme):
    parsed = [Tag("O", ""), *(parse(tags[tag]) for tag in path), Tag("O", "")]
    return all(may_follow(before, after, scheme) for before, after in zip(parsed, parsed[1:], strict=False))


def by_search(features, weights, steps, tags, scheme):
    def score(path):
        return sum(weights[features[word], tag].sum() for word, tag in enumerate(path)) + sum(
            steps[pair] for pair in zip(path, path[1:], strict=False)
        )

    paths = [path for path in product(range(len(tags)), repeat=len(features)) if legal(path, tags, scheme)]
    scores = np.array([score(path) for path in paths])
    return {paths[number] for number in np.flatnonzero(scores >= scores.max() - 1e-9)}


@pytest.mark.parametrize("scheme", ["iob2", "iobes"])
def test_sequences_are_the_best_of_all_legal_ones(scheme):
    model, random = tagger(scheme=scheme), np.random.default_rng(0)
    model.weights, model.steps = random.normal(size=model.weights.shape), random.normal(size=model.steps.shape)
    for row in ROWS:
        features = word_features(row.tokens, BUCKETS)
        assert {tuple(model._best(features).tolist())} == by_search(features, model.weights, model.steps, model.tags, scheme)


def test_weights_are_the_mean_of_those_after_every_sentence(monkeypatch):
    monkeypatch.setattr(perceptron, "MOST_EPOCHS", 3)
    model, tags = tagger(), tags_of(["place", "who"], "iob2")
    weights, steps, history = Counter(), Counter(), []
    searched = tagger([])
    rows, random = list(ROWS), Random(0)
    for _ in range(3):
        random.shuffle(rows)
        for row in rows:
            features, right = word_features(row.tokens, BUCKETS), model._numbers(row).tolist()
            searched.weights[:], searched.steps[:] = 0.0, 0.0
            for cell, value in weights.items():
                searched.weights[cell] = value
            for cell, value in steps.items():
                searched.steps[cell] = value
            predicted = searched._best(features).tolist()
            for change, path in ((1, right), (-1, predicted)):
                for word, tag in enumerate(path):
                    for feature in features[word].tolist():
                        weights[feature, tag] += change
                for pair in zip(path, path[1:], strict=False):
                    steps[pair] += change
            history.append((Counter(weights), Counter(steps)))
    assert model.tags == tags and any(history[-1][0].values())
    for cell in product(range(BUCKETS), range(len(tags))):
        assert model.weights[cell] == pytest.approx(sum(each[cell] for each, _ in history) / len(history), abs=1e-9)
    for cell in product(range(len(tags)), repeat=2):
        assert model.steps[cell] == pytest.approx(sum(each[cell] for _, each in history) / len(history), abs=1e-9)


def test_training_is_bounded_and_empty_rows_are_nothing(monkeypatch):
    bare = sentence({"tokens": [], "tags": []})
    assert tagger([bare, *ROWS])(bare) == [] and tagger([bare]).weights.any() == 0
    monkeypatch.setattr(perceptron, "MOST_WORDS", 5)
    assert (tagger().weights == tagger(ROWS[:2]).weights).all()
