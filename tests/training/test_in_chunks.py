"""A loss that compares rows, with the activations of some rows at a time."""

import pytest
import torch
from torch import nn

from framework import in_chunks


@pytest.mark.parametrize("rows", [1, 2, 3, 7, None])
def test_values_and_gradients_are_those_of_all_rows_at_once(rows):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.0), nn.Tanh(), nn.Linear(8, 3)).double()
    one, two = torch.randn(7, 4, dtype=torch.float64), torch.randn(7, 1, dtype=torch.float64)
    calls = []

    def vectors(x, factor):
        calls.append(len(x))
        return net(x) * factor

    results = []
    for way in (lambda: vectors(one, two), lambda: in_chunks(vectors, one, two, rows=rows)):
        net.zero_grad()
        calls.clear()
        output = way()  # (B, D)
        (output @ output.T).log_softmax(-1).diagonal().sum().backward()
        results.append([output.detach(), *(parameter.grad.clone() for parameter in net.parameters())])
    torch.testing.assert_close(*results, rtol=1e-12, atol=1e-12)
    assert max(calls) == (rows or 7) and sum(calls) == (7 if rows is None else 14)  # each chunk is computed twice


def test_dropout_falls_alike_when_a_chunk_is_computed_again():
    dropout, drawn = nn.Dropout(0.5), []

    def dropped(x):
        drawn.append(dropout(x))
        return drawn[-1] * x

    in_chunks(dropped, torch.ones(6, 50, requires_grad=True), rows=3).sum().backward()
    assert len(drawn) == 4
    assert {tuple(each.detach().flatten().tolist()) for each in drawn[:2]} == {
        tuple(each.detach().flatten().tolist()) for each in drawn[2:]
    }
