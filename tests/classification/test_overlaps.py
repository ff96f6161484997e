"""Overlaps of two texts: against sets written out, and the linear model of it against scikit-learn."""

from math import log, log1p
from random import Random

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch.nn.functional import mse_loss

from plugins.classification.ngrams import SCALES, NgramScores
from plugins.classification.overlaps import ALIGNED, Overlaps, Pairs
from plugins.classification.words import PairWords

BEGIN, END, ORDER = 1, 2, 2


def texts_of(seed, count=30, longest=6, vocabulary=6):
    random = Random(seed)
    return [tuple([random.randrange(3, 3 + vocabulary) for _ in range(random.randrange(longest + 1))] for _ in "12") for _ in range(count)]


def batch_of(texts, room=0, labels=None):
    rows = [[BEGIN, *one, END, *other, END] for one, other in texts]
    ids = torch.zeros(len(rows), max(map(len, rows)) + room, dtype=torch.int64)
    for row, tokens in zip(ids, rows, strict=True):
        row[: len(tokens)] = torch.tensor(tokens)
    second = torch.tensor([len(one) + 2 for one, _ in texts])[:, None]
    batch = {"ids": ids, "padding_mask": ids != 0, "segments": (torch.arange(ids.shape[1]) >= second).long()}
    return batch if labels is None else {**batch, "label": labels}


def pairs_of(texts, **options):
    batch = batch_of(texts, **options)
    return Pairs(batch["ids"], batch["padding_mask"], batch["segments"], (BEGIN, END), ORDER)


def ngrams(text, length):
    return {tuple(text[place : place + length]) for place in range(len(text) - length + 1)}


def ratio(part, whole):
    return part / whole if whole else 0.0


def overlaps_by_hand(one, other, rarity):
    """rarity: of an n-gram."""
    found = []
    for length in range(1, ORDER + 1):
        a, b = ngrams(one, length), ngrams(other, length)
        for weight in (lambda _: 1.0, rarity):
            common, first, second = (sum(map(weight, side)) for side in (a & b, a, b))
            found += [ratio(common, first), ratio(common, second), ratio(common, first + second - common)]
        found += [log1p(len(a - b)), log1p(len(b - a))]
    lengths = log1p(len(one)) - log1p(len(other))
    return [*found, lengths, abs(lengths), float(set(one) == set(other)), float(one[:1] == other[:1])]


def features_by_hand(one, other):
    found = set()
    for length in range(1, ORDER + 1):
        a, b = ngrams(one, length), ngrams(other, length)
        found |= {("both", each) for each in a & b} | {("first", each) for each in a - b} | {("second", each) for each in b - a}
    alone = [list(dict.fromkeys(token for token in text if token not in rest))[:ALIGNED] for text, rest in ((one, other), (other, one))]
    return found | {("cross", first, second) for first in alone[0] for second in alone[1]}


def rarity_of(texts):
    sides = [side for pair in texts for side in pair]

    def rarity(ngram):
        return log((1 + len(sides)) / (1 + sum(ngram in ngrams(side, len(ngram)) for side in sides))) + 1

    return rarity


def test_overlaps_are_those_of_sets():
    texts = texts_of(0)
    overlaps = Overlaps(ORDER, 2**20).double()
    standard = overlaps.fit([pairs_of(texts[:20]), pairs_of(texts[20:])])
    expected = np.array([overlaps_by_hand(one, other, rarity_of(texts)) for one, other in texts])
    found = pairs_of(texts).overlaps(overlaps.rarity)
    assert found.numpy() == pytest.approx(expected, abs=1e-6)
    deviation = expected.std(axis=0)
    assert deviation.min() > 0
    assert standard.numpy() == pytest.approx(((expected - expected.mean(axis=0)) / deviation).clip(-5, 5), abs=1e-5)
    new = texts_of(1, vocabulary=9)
    expected = [overlaps_by_hand(one, other, rarity_of(texts)) for one, other in new]
    assert pairs_of(new).overlaps(overlaps.rarity).numpy() == pytest.approx(np.array(expected), abs=1e-6)


def test_features_are_those_of_sets():
    texts = texts_of(2, count=60) + [([*range(3, 15)], [*range(20, 35)])]  # the last has more tokens of a text alone than are paired
    found = list(pairs_of(texts).features())
    numbers = torch.cat([hashes.masked_fill(~there, -1) for hashes, there in found], dim=1).tolist()
    named = {}
    for row, (one, other) in zip(numbers, texts, strict=True):
        hashes, names = {number for number in row if number >= 0}, features_by_hand(one, other)
        assert len(hashes) == len(names)
        for number in hashes:
            named[number] = named.get(number, names) & names
    assert sorted(len(names) for names in named.values())[0] >= 1  # each hash has a feature that all its pairs share
    for row, (one, other) in zip(numbers, texts, strict=True):
        assert not any(named[number] - features_by_hand(one, other) for number in row if number >= 0)


def test_padding_changes_nothing():
    texts = texts_of(3)
    rarity = torch.rand(97) + 1
    assert torch.equal(pairs_of(texts).overlaps(rarity), pairs_of(texts, room=4).overlaps(rarity))
    wide, narrow = NgramScores(1, ORDER, (BEGIN, END)), NgramScores(1, ORDER, (BEGIN, END))
    for row in (0, 7):
        (columns, there, _), (others, present, _) = wide.features(batch_of(texts, room=4)), narrow.features(batch_of(texts[row : row + 1]))
        assert columns[row][there[row]].tolist() == others[0][present[0]].tolist()


def loss(scores, targets):
    return mse_loss(scores[:, 0], targets, reduction="sum")


def test_the_linear_model_is_that_of_scikit_learn():
    texts = texts_of(4, count=80, longest=5)
    targets = torch.tensor([overlaps_by_hand(one, other, len)[1] + (3 in one) for one, other in texts])
    model = NgramScores(1, ORDER, (BEGIN, END), penalty=2.0, buckets=2**20).eval()
    model.fit([batch_of(texts[:50], labels=targets[:50]), batch_of(texts[50:], labels=targets[50:])], loss)
    names = sorted(set().union(*(features_by_hand(*pair) for pair in texts)), key=str)
    present = np.array([[name in features_by_hand(*pair) for name in names] for pair in texts])
    frequency = np.log((1 + len(texts)) / (1 + present.sum(axis=0))) + 1
    new = texts_of(5, count=20)

    def table(pairs):
        found = np.array([[name in features_by_hand(*pair) for name in names] for pair in pairs]) * frequency
        found /= np.linalg.norm(found, axis=1, keepdims=True).clip(1e-12)
        dense = np.array([overlaps_by_hand(one, other, rarity_of(texts)) for one, other in pairs])
        return found, dense

    (sparse, dense), (new_sparse, new_dense) = table(texts), table(new)
    mean, deviation = dense.mean(axis=0), dense.std(axis=0)
    ours = model(torch.zeros(len(new), 1), batch_of(new)).numpy()[:, 0] / 2
    fits = []
    for scale in SCALES:
        reference = Ridge(alpha=1.0).fit(np.hstack([scale * sparse, (dense - mean) / deviation]), targets.numpy())
        expected = reference.predict(np.hstack([scale * new_sparse, ((new_dense - mean) / deviation).clip(-5, 5)]))
        fits.append(np.abs(ours - expected).max())
    assert min(fits) < 2e-3 < max(fits)  # one of the scales was chosen


def test_words_of_pairs_and_their_overlaps():
    pair = PairWords("A man did not see 2 dogs", "a man did see 3 dogs, dogs")
    assert {"both a man", "first not", "second 3", "first not see", "second did see", "cross not > 3", "cross 2 > ,"} <= pair
    assert not {"first a", "cross a > a", "cross man > dogs"} & pair
    one, other = set("a man did not see 2 dogs".split()), set("a man did see 3 dogs ,".split())
    weights = {word: len(word) + 0.5 for word in one | other}
    found = pair.overlaps(weights.__getitem__)
    assert found[:3] == pytest.approx([5 / 7, 5 / 7, 5 / 9])
    assert found[3:6] == pytest.approx([2 / 6, 2 / 7, 2 / 11])  # a man, man did
    spelled = [{text[n : n + 3] for n in range(len(text) - 2)} for text in (" a man did not see 2 dogs ", " a man did see 3 dogs , dogs ")]
    common = len(spelled[0] & spelled[1])
    assert found[6:9] == pytest.approx([common / len(spelled[0]), common / len(spelled[1]), common / len(spelled[0] | spelled[1])])
    assert found[9:13] == pytest.approx([log1p(2), log1p(2), log1p(7) - log1p(8), log1p(8) - log1p(7)])
    assert found[13:17] == [0.0, 1.0, 1.0, 1.0]  # equal, first word, negation, numbers
    shared, first, second = (sum(weights[word] for word in side) for side in (one & other, one, other))
    assert found[17:] == pytest.approx([shared / first, shared / second, shared / (first + second - shared)])
    assert PairWords("", "").overlaps(len) == [0.0] * 13 + [1.0, 1.0] + [0.0] * 5
