"""Contract tests of single kinds of parts: positions, feed-forward networks and norms, blocks, stacks and models."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from framework.parts.layers import masked, takes_padding_mask
from framework.parts.layout import SequenceLayout
from framework.testing.dropout import WithoutDropout
from framework.testing.effects import differs
from framework.testing.promise import BrokenPromise
from framework.testing.toy_models import VOCABULARY, build_toy, forward, texts
from framework.testing.toy_part import ToyPart
from framework.testing.toy_task import traits

Compute = Callable[[slice], Tensor | None]


@torch.no_grad()
def positions_are_explicit(toy: ToyPart) -> None:
    """A position encoding depends on the positions that are passed, not on the index of a token in the tensor or on other tokens."""
    model = toy.model().eval()
    for position in toy.parts(model):
        x, heads = _random(2, 4, model.tokens.embedding_dim), _random(2, 3, 4, 4)
        positions = torch.tensor([[3, 0, 5, 1], [2, 2, 4, 7]])

        def rotated(rows: slice, tokens: slice) -> Tensor | None:
            rotary = position.rotary(positions[rows, tokens], 4)  # noqa: B023 - called in this iteration
            return None if rotary is None else rotary(heads[rows, :, tokens])  # noqa: B023

        hooks: dict[str, tuple[Callable[[slice, slice], Tensor | None], int]] = {
            "embed": (lambda rows, tokens: position.embed(x[rows, tokens], positions[rows, tokens]), 1),  # noqa: B023
            "rotary": (rotated, 2),
            "bias of a query": (lambda rows, tokens: position.bias(positions[rows, tokens], positions[rows]), 2),  # noqa: B023
            "bias of a key": (lambda rows, tokens: position.bias(positions[rows], positions[rows, tokens]), 3),  # noqa: B023
            "relative": (
                lambda rows, tokens: position.relative(heads[rows, :, tokens], positions[rows, tokens], positions[rows]),  # noqa: B023
                2,
            ),
        }
        every = slice(None)
        for name, (compute, axis) in hooks.items():
            of_tokens = _equal_alone(lambda tokens: compute(every, tokens), axis, 4)  # noqa: B023
            if not of_tokens or not _equal_alone(lambda rows: compute(rows, every), 0, 2):  # noqa: B023
                raise BrokenPromise(f"positions are explicit: {name}: a token gets something else alone than beside other tokens")


@torch.no_grad()
def declares_its_traits(toy: ToyPart) -> None:
    """A position declares in `provides` what it gives: `bias`, `rotary`, `relative`; and `table` if it cannot read every position."""
    declared, model = traits(toy.part), toy.model().eval()
    for position in toy.parts(model):
        positions = torch.arange(4)[None]
        given = {"bias": position.bias(positions, positions), "rotary": position.rotary(positions, 4)}
        given["relative"] = position.relative(_random(1, 2, 4, 4), positions, positions)
        for trait, value in given.items():
            if (value is not None) != (trait in declared):
                wrong = "returns something" if value is not None else "returns None"
                says = f"{'' if trait in declared else 'no '}{trait!r} is in `provides`"
                raise BrokenPromise(f"declares its traits: {trait}() of {type(position).__name__} {wrong}, and {says}")
        if "table" not in declared and not _reads(position, positions + 10 * model.spec.max_length, model.tokens.embedding_dim):
            raise BrokenPromise(
                f"declares its traits: {type(position).__name__} cannot read far positions, and 'table' is not in `provides`"
            )


@torch.no_grad()
def tokens_are_independent(toy: ToyPart) -> None:
    """The output of a feed-forward network or a norm keeps the shape, and that of a token depends on this token alone, also in training."""
    model = toy.model()
    for part in toy.parts(model):
        x = _random(2, 5, model.dim)
        call = _without_padding(part)
        for training in (False, True):
            part.train(training)
            with WithoutDropout():
                y = call(x)
                if y.shape != x.shape:
                    raise BrokenPromise(f"tokens are independent: {tuple(x.shape)} becomes {tuple(y.shape)}")
                if training and not y.equal(call(x)):
                    continue  # random in another way than dropout
                if not (
                    _equal_alone(lambda tokens: call(x[:, tokens]), 1, 5)  # noqa: B023 - called in this iteration
                    and _equal_alone(lambda rows: call(x[rows]), 0, 2)  # noqa: B023
                ):
                    mode = "training" if training else "evaluation"
                    raise BrokenPromise(f"tokens are independent: in {mode}, a token gets something else alone than beside other tokens")


def zeros_stay_finite(toy: ToyPart) -> None:
    """A feed-forward network or a norm of zeros, and its gradient, are finite."""
    model = toy.model().eval()
    for part in toy.parts(model):
        x = torch.zeros(1, 3, model.dim, dtype=torch.float64, requires_grad=True)
        y = _without_padding(part)(x)
        (gradient,) = torch.autograd.grad(y.sum(), x, materialize_grads=True)
        for name, tensor in (("output", y), ("gradient", gradient)):
            if not tensor.isfinite().all():
                raise BrokenPromise(f"zeros stay finite: the {name} of {type(part).__name__} is not finite where the input is zero")


@torch.no_grad()
def calls_every_sublayer(toy: ToyPart) -> None:
    """A block calls every sublayer once, with a tensor of its shape, and its output depends on theirs."""
    model = toy.model().eval()
    for block in toy.parts(model):
        object.__setattr__(block, "forward", _counted(block.forward))
    forward(model, texts(7)[0][None], texts(5)[0][None])


@torch.no_grad()
def hidden_states_have_their_shape(model: Any) -> None:
    """Hidden states are (B, T, D), and logits (B, T, V)."""
    hidden = forward(model.eval(), torch.stack(texts(7, 7)), torch.stack(texts(6, 6)))
    if hidden.shape != (2, 7, model.dim):
        raise BrokenPromise(f"hidden states have their shape: {tuple(hidden.shape)} instead of {(2, 7, model.dim)}")
    if "decoder" in model.provides and model.logits(hidden).shape != (2, 7, VOCABULARY):
        raise BrokenPromise(f"hidden states have their shape: logits are {tuple(model.logits(hidden).shape)}, not {(2, 7, VOCABULARY)}")


def initial_std_has_an_effect(toy: ToyPart) -> None:
    """The initial weights follow the option `initial_std`."""
    one, other = (build_toy(toy.node, initial_std=std).state_dict() for std in (0.3, 0.03))
    if all(value.equal(other[name]) for name, value in one.items()):
        raise BrokenPromise("initial std has an effect: the weights are the same with 0.3 and 0.03 (the constructor calls initialize?)")


def _counted(usual: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The forward pass of a block that checks how it calls its sublayers."""

    def counted(x: Tensor, sublayers: Sequence[Callable[[Tensor], Tensor]]) -> Tensor:
        calls = [0] * len(sublayers)

        def sublayer(number: int, factor: float = 1.0) -> Callable[[Tensor], Tensor]:
            def call(y: Tensor) -> Tensor:
                if y.shape != x.shape:
                    raise BrokenPromise(f"calls every sublayer: with {tuple(y.shape)} instead of {tuple(x.shape)}")
                calls[number] += 1
                return factor * sublayers[number](y)

            return call

        numbers = range(len(sublayers))
        output = usual(x, tuple(map(sublayer, numbers)))
        for number, times in enumerate(calls):
            if times != 1:
                raise BrokenPromise(f"calls every sublayer: number {number} of {len(calls)} is called {times} times")
        for number in numbers:
            if not differs(output, usual(x, tuple(sublayer(other, -1.0 if other == number else 1.0) for other in numbers))):
                raise BrokenPromise(f"calls every sublayer: the output of number {number} of {len(calls)} has no effect")
        return output

    return counted


def _without_padding(feed_forward: Any) -> Callable[[Tensor], Tensor]:
    """The call of a feed-forward network, which may ask for the padding mask, or of a norm."""
    return masked(feed_forward, SequenceLayout(torch.arange(5)[None])) if takes_padding_mask(feed_forward) else feed_forward


def _equal_alone(compute: Compute, axis: int, count: int) -> bool:
    """Whether what `compute` gives for all tokens is, at each token along the axis, what it gives for this token alone."""
    together = compute(slice(None))
    if together is None:
        return all(compute(slice(token, token + 1)) is None for token in range(count))
    for token in range(count):
        alone = compute(slice(token, token + 1))
        place = token if together.shape[axis] > 1 else 0  # one for all rows
        if alone is None or alone.shape[axis] != 1 or differs(together.narrow(axis, place, 1), alone):
            return False
    return True


def _reads(position: Any, positions: Tensor, dim: int) -> bool:
    try:
        position.embed(_random(1, 4, dim), positions)
        position.rotary(positions, 4)
        position.bias(positions, positions)
        position.relative(_random(1, 2, 4, 4), positions, positions)
    except (IndexError, RuntimeError, ValueError):
        return False
    return True


def _random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
