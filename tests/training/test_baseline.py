"""The cost of a baseline is bounded by rows and by tokens."""

import numpy as np

from framework.workflows import baseline


def test_rows_within_the_bounds(monkeypatch):
    monkeypatch.setattr(baseline, "ROWS", 5)
    monkeypatch.setattr(baseline, "TOKENS", 30)
    assert baseline.rows_within(np.array([10, 10, 10, 1])) == 3  # 30 tokens
    assert baseline.rows_within(np.array([1] * 9)) == 5
    assert baseline.rows_within(np.array([99, 1])) == 1  # never none
