"""Cache.state and load_state: decoding continues from a loaded state without a difference."""

import pytest
import torch

from framework.config import catalogue
from framework.parts.caches import DecodingState
from framework.registry import Part
from framework.testing import toy_models as toys


@pytest.mark.parametrize("attention", sorted(catalogue.load().options["attention"]))
@pytest.mark.parametrize("pieces", [(3, 4), (5, 1, 1)], ids=str)
def test_a_text_goes_on_from_what_was_kept(attention, pieces):
    model = toys.toy_model("decoder_only", attention=Part(f"attention/{attention}"), position=Part("position/rotary")).eval()
    ids = torch.stack(toys.texts(7, 7))
    with torch.no_grad():
        expected = model(ids)
        state, found, start = None, [], 0
        for piece in pieces:
            state = _again(model, state) if start else model.state()
            found.append(model.decode(ids[:, start : start + piece], state))
            start += piece
    torch.testing.assert_close(torch.cat(found, dim=1), expected, rtol=1e-9, atol=1e-9)


def _again(model, state):
    """A new decoding state with the tensors of another one."""
    fresh = DecodingState(model.decoder.caches(), state.positions.clone())
    for cache, old in zip(fresh.caches, state.caches, strict=True):
        cache.load_state(tuple(tensor.clone() for tensor in old.state()))
    return fresh


@pytest.mark.parametrize("attention", sorted(catalogue.load().options["attention"]))
def test_nothing_is_kept_of_no_text(attention):
    """The state after no tokens: growing tensors are empty, others zero."""
    model = toys.toy_model("decoder_only", attention=Part(f"attention/{attention}"), position=Part("position/none")).eval()
    ids = torch.stack(toys.texts(5, 5))
    with torch.no_grad():
        probes = []
        for length in (3, 4):
            state = model.state()
            model.decode(ids[:, :length], state)
            probes.append([cache.state() for cache in state.caches])
        fresh = model.state()
        for cache, small, large in zip(fresh.caches, *probes, strict=True):
            sizes = [[0 if a != b else a for a, b in zip(x.shape, y.shape, strict=True)] for x, y in zip(small, large, strict=True)]
            cache.load_state(tuple(torch.zeros(size, dtype=torch.float64) for size in sizes))
        torch.testing.assert_close(model.decode(ids, fresh), model(ids), rtol=1e-9, atol=1e-9)
