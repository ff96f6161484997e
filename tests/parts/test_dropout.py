"""Dropout: the rate, the scale, the gradient, other dtypes, and the modes in which it does nothing."""

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from framework.parts.dropout import Dropout, dropout


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_a_share_of_the_elements_is_zero_and_the_others_keep_the_mean(rate, dtype):
    torch.manual_seed(0)
    x = torch.full((401, 97), 2.0, dtype=dtype, requires_grad=True)
    y = dropout(x, rate)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    dropped = y == 0
    assert y.dtype == dtype
    assert abs(float(dropped.double().mean()) - rate) < 0.01  # of 38,897: the standard deviation is at most 0.0025
    torch.testing.assert_close(y[~dropped].double(), torch.full_like(y[~dropped], 2 / (1 - rate), dtype=torch.float64), rtol=0.01, atol=0)
    assert gradient.equal(y.detach() / 2)


def test_elements_are_independent():
    """Four elements share a random number: their bits do not depend on each other, nor on those of their neighbors."""
    torch.manual_seed(0)
    kept = (dropout(torch.ones(2**16), 0.5) != 0).float() * 2 - 1
    for shift in (1, 2, 3, 4, 8):
        assert abs(float((kept[:-shift] * kept[shift:]).mean())) < 0.02  # the standard deviation is 0.004


def test_the_same_seed_drops_the_same_whatever_the_strides():
    x = torch.randn(3, 5, 7)
    torch.manual_seed(1)
    one = dropout(x, 0.5)
    torch.manual_seed(1)
    assert dropout(x.transpose(1, 2).contiguous().transpose(1, 2), 0.5).equal(one)


@pytest.mark.parametrize("rate", [0.0, 1e-9])
def test_without_a_rate_nothing_is_drawn(rate):
    x, before = torch.randn(4), torch.get_rng_state()
    assert dropout(x, rate) is x and torch.get_rng_state().equal(before)
    assert Dropout(0.5).eval()(x) is x


def test_a_rate_near_one_drops_all():
    assert not dropout(torch.ones(1000), 1 - 1e-9).any()


def test_a_recomputed_pass_drops_the_same():
    x = torch.randn(64, 8, requires_grad=True)
    torch.manual_seed(2)
    (wanted,) = torch.autograd.grad(dropout(x, 0.5).square().sum(), x)
    torch.manual_seed(2)
    (got,) = torch.autograd.grad(checkpoint(lambda x: dropout(x, 0.5).square().sum(), x, use_reentrant=False), x)
    assert got.equal(wanted)


def test_an_empty_tensor_stays_empty():
    assert dropout(torch.empty(0, 3), 0.5).shape == (0, 3)
