"""Contract tests: what a model or a stack chooses, a position or a window, has its effect."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from framework.parts.layout import SequenceLayout, make_positions
from framework.parts.masks import Mask
from framework.parts.positions.base import Position
from framework.registry import Part
from framework.testing.parts import TOLERANCE
from framework.testing.promise import BrokenPromise, Inapplicable
from framework.testing.toy_models import VOCABULARY, forward, texts
from framework.testing.toy_part import ToyPart

HOOKS = ("embed", "rotary", "bias", "relative")
WINDOW, ALL = 3, 99  # tokens
ROUNDED = 1e-3  # angles are computed in float32


@torch.no_grad()
def position_has_an_effect(model: Any) -> None:
    """Each hook that a stack's position encoding defines is called, and with other positions gives other hidden states."""
    model.eval()
    ids, source = texts(7)[0][None], texts(5)[0][None]
    before, effective = forward(model, ids, source), 0
    for name, position in model.named_modules():
        for hook in HOOKS if isinstance(position, Position) else ():
            if getattr(type(position), hook) is getattr(Position, hook):
                continue
            with _permuted(position, hook) as results:
                after = forward(model, ids, source)
            if not results:
                raise BrokenPromise(f"position has an effect: {hook} of {name} is never called")
            effective += any(results)
            if any(results) and not differs(before, after):
                raise BrokenPromise(f"position has an effect: hidden states stay the same when {hook} of {name} gets other positions")
    if not effective:
        raise Inapplicable("the position encoding has no effect")


def window_has_an_effect(toy: ToyPart) -> None:
    """In a layer with a window, a token influences those nearer than the window, and no others."""
    options = {**toy.options, "num_layers": 1}
    windowed, full = (ToyPart(toy.slot, toy.part, toy.family, toy.beside, window, options) for window in (WINDOW, ALL))
    if toy.window is not None or not windowed.has_window:
        raise Inapplicable("the stack has no window, or it is part of the combination")
    if reasons := windowed.refusals():
        raise Inapplicable(f"a window is refused: {reasons[0]}")
    without = _influences(full.model())
    for name, influence in _influences(windowed.model()).items():
        index = torch.arange(len(influence))
        near = (index[:, None] - index).abs() < WINDOW
        if (influence & ~near).any():
            query, key = (influence & ~near).nonzero()[0].tolist()
            raise BrokenPromise(f"window has an effect: with window={WINDOW} {name} token {key} influences token {query}")
        if (without[name] & near & ~influence).any():
            query, key = (without[name] & near & ~influence).nonzero()[0].tolist()
            raise BrokenPromise(f"window has an effect: with window={WINDOW} {name} token {key} has no influence on token {query}")


@torch.no_grad()
def rotary_embedding_is_applied(toy: ToyPart) -> None:
    """An attention rotates queries and keys, each by its own positions, so that only distances count."""
    if toy.refuses("rotary"):
        raise Inapplicable("the attention refuses a rotary embedding")
    attend, part = _attention(toy)
    if part.rotary_dim < 2:
        raise Inapplicable("no feature of a head may be rotated")
    positions = torch.arange(6)[None]
    near, far = (_rotary(part.rotary_dim, each) for each in (positions, positions * 3 + 1))
    usual = attend(near, near)
    for name, changed in (("keys", attend(near, far)), ("queries", attend(far, near))):
        if not differs(usual, changed):
            raise BrokenPromise(f"rotary embedding is applied: the output stays the same when the {name} get other positions")
    shifted = _rotary(part.rotary_dim, positions + 2)
    if differs(usual, attend(shifted, shifted), ROUNDED):
        raise BrokenPromise("rotary embedding is applied: the output changes when queries and keys are both two positions further on")


@torch.no_grad()
def bias_is_added_to_the_scores(toy: ToyPart) -> None:
    """A position bias on a key raises the weight of this key, in the head that it is meant for."""
    if toy.refuses("bias"):
        raise Inapplicable("the attention refuses a bias")
    attend, _ = _attention(toy)
    key, heads = 1, toy.node.values["num_heads"]
    bias = torch.zeros(1, heads, 6, 6, dtype=torch.float64)
    raised, lowered = bias.clone(), bias.clone()
    raised[..., key], lowered[..., key] = 2.0, -2.0
    strong, weak = ((attend(bias=each) - attend(bias=each, changed=key))[:, key + 1 :].abs().mean().item() for each in (raised, lowered))
    if not strong > 1.05 * weak:
        raise BrokenPromise(
            f"bias is added to the scores: a key changes the output by {strong:.2g} with a bias of 2 and by {weak:.2g} with -2"
        )
    first, last = bias.clone(), bias.clone()
    first[:, 0, :, key] = last[:, -1, :, key] = 2.0
    none, one, other = (attend(bias=each) for each in (bias, first, last))
    if not (differs(none, one) and differs(none, other) and (heads == 1 or differs(one, other))):
        raise BrokenPromise("bias is added to the scores: a bias of the first head alone or of the last one has not its own effect")
    with torch.enable_grad():
        gradient = torch.autograd.grad(attend(bias=bias.requires_grad_()).square().sum(), bias, allow_unused=True)[0]
    if gradient is None or not gradient.any():
        raise BrokenPromise("bias is added to the scores: the bias gets no gradient, so a learned one is never trained")


def differs(one: Tensor, other: Tensor, tolerance: float = TOLERANCE) -> bool:
    """Whether two tensors differ by more than the tolerance, or are not numbers."""
    return not bool((one - other).abs().max() <= tolerance)


@contextmanager
def _permuted(position: Position, hook: str) -> Iterator[list[bool]]:
    """A hook of a position encoding with the positions of the tokens in another order. Yields a list: for each call, whether it does
    something."""
    results, usual = [], getattr(position, hook)

    def permuted(*arguments: Any, **keywords: Any) -> Any:
        unchanged = arguments[0] if hook in ("embed", "relative") else None
        others = [(x * 3) % x.shape[-1] if isinstance(x, Tensor) and x is not unchanged else x for x in arguments]
        result = usual(*others, **{name: (x * 3) % x.shape[-1] for name, x in keywords.items()})
        results.append(result is not unchanged)
        return result

    object.__setattr__(position, hook, permuted)
    yield results
    object.__delattr__(position, hook)


@torch.no_grad()
def _influences(model: Any) -> dict[str, Tensor]:
    """For each stack (T, T): whether token j of a text changes the hidden state of token i."""
    model.eval()
    (row,), source = texts(7), texts(5)[0]
    changed = row.repeat(len(row), 1)
    changed.diagonal().add_(1).remainder_(VOCABULARY)
    rows = torch.cat((row[None], changed))  # (1 + T, T)
    outputs = {"in the encoder": model.encode(rows).hidden_states} if "cross" in model.provides else {}
    outputs["in the model"] = forward(model, rows, source.expand(len(rows), -1))
    return {name: ((hidden[1:] - hidden[0]).abs().amax(-1) > TOLERANCE).T for name, hidden in outputs.items()}


def _attention(toy: ToyPart) -> tuple[Callable[..., Tensor], Any]:
    """A function of a rotary embedding of queries, one of keys and a bias, and the attention that it calls on six fixed tokens."""
    model = toy.model().eval()
    part = toy.parts(model)[0]
    generator = torch.Generator().manual_seed(0)
    x, other = torch.randn(2, 2, 6, model.dim, generator=generator, dtype=torch.float64)
    layout = SequenceLayout(make_positions(x[..., 0]))

    def attend(query: Any = None, key: Any = None, bias: Tensor | None = None, changed: int | None = None) -> Tensor:
        tokens = x if changed is None else torch.where((torch.arange(6) == changed)[:, None], other, x)
        keys_values = part.keys_values(tokens, replace(layout, rotary=key))
        mask = Mask(6, 6, causal="decoder" in model.provides, bias=bias)
        return part(tokens, keys_values, replace(layout, rotary=query), mask)

    return attend, part


def _rotary(dim: int, positions: Tensor) -> Any:
    return Part("position/rotary")().rotary(positions, dim)
