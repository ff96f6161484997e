"""Noise: shares, whole words, spans that do not touch, the same for the same row."""

import numpy as np
import pytest

from plugins.pretraining.noise import choose, generator_of, partition, place, poisson


def generator(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("length", [1, 2, 7, 64])
def test_a_share_of_what_may_be_hidden_is(length):
    may = np.arange(length) % 3 != 1
    hidden = choose(may, 0.25, generator())
    assert len(hidden) == max(1, round(0.25 * may.sum()))
    assert may[hidden].all() and list(hidden) == sorted({*hidden.tolist()})


def test_nothing_is_hidden_where_nothing_may_be():
    assert len(choose(np.zeros(4, dtype=bool), 0.5, generator())) == 0


def test_every_token_is_hidden_as_often():
    counts = np.zeros(20)
    for seed in range(2000):
        counts[choose(np.ones(20, dtype=bool), 0.15, generator(seed))] += 1
    assert abs(counts / 2000 - 0.15).max() < 0.03


def test_whole_words_are_hidden_whole():
    begins = np.array([1, 0, 0, 1, 1, 0, 1, 0, 0, 0, 1, 1, 0], dtype=bool)
    words = np.cumsum(begins)
    for seed in range(200):
        hidden = choose(np.ones(len(begins), dtype=bool), 0.3, generator(seed), begins)
        assert set(hidden) == {place for place in range(len(begins)) if words[place] in words[hidden]}
        assert 1 <= len(hidden) <= 4  # round(0.3 * 13), which the longest word alone is as long as


def test_a_first_word_too_long_is_hidden_all_the_same():
    assert choose(np.ones(5, dtype=bool), 0.2, generator(), np.array([1, 0, 0, 0, 0], dtype=bool)).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("total", "parts"), [(1, 1), (5, 5), (9, 4), (50, 3)])
def test_a_partition_adds_up(total, parts):
    for seed in range(20):
        lengths = partition(total, parts, generator(seed))
        assert len(lengths) == parts and lengths.sum() == total and lengths.min() >= 1


def test_poisson_lengths_add_up_and_have_their_mean():
    drawn = [poisson(300, 3.0, generator(seed)) for seed in range(50)]
    assert all(lengths.sum() == 300 and len(lengths) <= 300 for lengths in drawn)
    assert np.concatenate(drawn).mean() == pytest.approx(3.0, abs=0.1)
    assert 0 in np.concatenate(drawn)  # a mask that stands for nothing
    assert len(poisson(0, 3.0, generator())) == 0


def test_spans_do_not_touch_and_keep_what_is_kept():
    for seed in range(50):
        lengths = np.array([2, 1, 3])
        spans = place(4, lengths, generator(seed))
        assert [stop - start for start, stop in spans] == [2, 1, 3]
        assert 0 <= spans[0][0] and spans[-1][1] <= 10
        assert all(before < after for (_, before), (after, _) in zip(spans, spans[1:], strict=False))


def test_a_row_is_noised_alike_under_the_same_seed_alone():
    draw = [generator_of(seed, ids).random() for seed, ids in [(1, [5, 6]), (1, [5, 6]), (2, [5, 6]), (1, [5, 7])]]
    assert draw[0] == draw[1] and len({*draw}) == 3
