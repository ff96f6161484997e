"""The promises of parts, as functions: whatever is registered, here or in somebody's package, can be held to them.

    model = toy_model("decoder_only", attention=Part(MyAttention, width=3))
    check(model)  # raises BrokenPromise with the name of the promise

Everything runs in float64 at toy size, where equal means equal to a billionth.
"""

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

import framework.models
import framework.parts
from framework.data.facts import Facts
from framework.parts.caches import State
from framework.registry import Part

VOCABULARY = 23
TOLERANCE = 1e-9


class BrokenPromise(AssertionError):
    """A part does not do what its kind promises."""


def import_parts() -> None:
    """Registers every part and model of the framework."""
    for package in (framework.parts, framework.models):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)


def toy_model(family: str, seed: int = 0, **values: Any) -> nn.Module:
    """A small model of a family ("encoder_only", ...) in float64; values fill its slots and options."""
    import_parts()
    torch.manual_seed(seed)
    # Large first weights: a token that is seen and should not be must show.
    options = {"dim": 16, "heads": 4, "depth": 2, "dropout": 0.0, "max_length": 32, "initial_std": 0.3, **values}
    return Part(f"model/{family}", **options)(facts=Facts(VOCABULARY, options["max_length"])).double()


def check(model: nn.Module) -> None:
    """Every promise of the model's family. BrokenPromise: the first that does not hold."""
    for promise, holds_for in PROMISES.items():
        if holds_for(set(model.provides)):
            promise(model)


def gradients_reach_every_parameter(model: nn.Module) -> None:
    """No parameter waits in vain."""
    model.train()
    model.zero_grad()
    loss(model).backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is None or not parameter.grad.isfinite().all() or not parameter.grad.any():
            state = "none" if parameter.grad is None else "not finite" if not parameter.grad.isfinite().all() else "zero"
            raise BrokenPromise(f"gradients reach every parameter: that of {name} is {state}")


@torch.no_grad()
def respects_padding(model: nn.Module) -> None:
    """What an encoder reads is the same with padding on either side, whatever stands in the padding."""
    model.eval()
    rows = texts(7, 4)
    alone = [_read(model, row[None], None)[0] for row in rows]
    for pad in (_pad_right, _pad_left):
        ids, real = pad(rows)
        for filling in (0, 5):
            read = _read(model, ids.masked_fill(~real, filling), real)
            _same("respects padding", read, real, alone, f"{pad.__name__.strip('_')} with token {filling}")


@torch.no_grad()
def cross_attention_respects_padding(model: nn.Module) -> None:
    """What is written is the same however far its source is padded, whatever stands in the padding."""
    model.eval()
    sources, targets = texts(6, 3), texts(5, 5)
    alone = [_write(model, target, source) for target, source in zip(targets, sources, strict=True)]
    ids, real = _pad_right(sources)
    for filling in (0, 5):
        written = model(ids.masked_fill(~real, filling), torch.stack(targets), real)
        _same("cross-attention respects padding", written, None, alone, f"source padded with token {filling}")


@torch.no_grad()
def rows_are_independent(model: nn.Module) -> None:
    """A row is the same alone and between others."""
    model.eval()
    rows, sources = texts(6, 6, 6), texts(5, 5, 5)
    alone = [_forward(model, row[None], source[None])[0] for row, source in zip(rows, sources, strict=True)]
    _same("rows are independent", _forward(model, torch.stack(rows), torch.stack(sources)), None, alone, "three rows at once")


@torch.no_grad()
def respects_causality(model: nn.Module) -> None:
    """A token changes nothing before it, and something at its own place."""
    model.eval()
    (row,), (source,) = texts(8), texts(5)
    before = _write(model, row, source)
    for place in range(len(row)):
        other = row.clone()
        other[place] = (row[place] + 1) % VOCABULARY
        after = _write(model, other, source)
        _same("respects causality", after[None, :place], None, [before[:place]], f"token {place} was another")
        if torch.allclose(after[place], before[place], rtol=0, atol=TOLERANCE):
            raise BrokenPromise(f"respects causality: token {place} does not even change its own place")


@torch.no_grad()
def documents_are_apart(model: nn.Module) -> None:
    """Texts packed into one row are as if each stood alone."""
    model.eval()
    rows = texts(3, 5, 4)
    documents = torch.cat([torch.full_like(row, number) for number, row in enumerate(rows)])
    packed = model(torch.cat(rows)[None], documents=documents[None])
    alone = torch.cat([model(row[None])[0] for row in rows])
    _same("documents are apart", packed, None, [alone], "three texts in one row")


@torch.no_grad()
def cache_equals_full_forward(model: nn.Module) -> None:
    """Written in any pieces, from rows padded on the left, a text is what it is at once."""
    model.eval()
    rows, sources = texts(8, 5), texts(6, 3)
    alone = [_write(model, row, source) for row, source in zip(rows, sources, strict=True)]
    ids, real = _pad_left(rows)
    for pieces in ([8], [1] * 8, [2, 1, 4, 1]):
        state = _start(model, sources)
        written = torch.cat([model.decode(*piece) for piece in _pieces(state, ids, real, pieces)], dim=1)
        _same("cache equals full forward", written, real, alone, f"in pieces of {pieces}")
    equal = texts(6, 6)
    state = _start(model, sources)
    written = torch.cat([model.decode(piece, state) for piece in torch.stack(equal).split([3, 1, 2], dim=1)], dim=1)
    alone = [_write(model, row, source) for row, source in zip(equal, sources, strict=True)]
    _same("cache equals full forward", written, None, alone, "without padding, in pieces of [3, 1, 2]")


@torch.no_grad()
def cache_crops(model: nn.Module) -> None:
    """Back to anywhere in the last piece, and on from there, is as if the rest had never been written."""
    model.eval()
    rows, sources = texts(8, 5), texts(6, 3)
    ids, real = _pad_left(rows)
    alone = [_write(model, row, source) for row, source in zip(rows, sources, strict=True)]
    wrong = (ids + 1) % VOCABULARY
    for length in (3, 5, 7):
        state = _start(model, sources)
        model.decode(ids[:, :3], state, real[:, :3])
        model.decode(torch.cat((ids[:, 3:length], wrong[:, length:]), dim=1), state, real[:, 3:])
        state.crop(length)
        _equal("cache crops", state.length, length, "length of the state")
        written = model.decode(ids[:, length:], state, real[:, length:])
        _same("cache crops", written, None, [each[length - 8 :] for each in alone], f"from 8 to {length} tokens")


@torch.no_grad()
def cache_reorders(model: nn.Module) -> None:
    """Rows that take each other's place, double or leave go on as the rows they were."""
    model.eval()
    rows, sources = texts(8, 5), texts(6, 3)
    ids, real = _pad_left(rows)
    for order in ([1, 0], [1, 1, 0], [1]):
        state = _start(model, sources)
        model.decode(ids[:, :4], state, real[:, :4])
        model.decode(ids[:, 4:5], state, real[:, 4:5])
        state.reorder(torch.tensor(order))
        written = model.decode(ids[order, 5:], state, real[order, 5:])
        alone = [_write(model, rows[row], sources[row])[-3:] for row in order]
        _same("cache reorders", written, None, alone, f"rows {order} of 2")


PROMISES: dict[Callable[[nn.Module], None], Callable[[set[str]], bool]] = {
    gradients_reach_every_parameter: lambda traits: True,
    rows_are_independent: lambda traits: True,
    respects_padding: lambda traits: "encoder" in traits,
    cross_attention_respects_padding: lambda traits: "cross" in traits,
    respects_causality: lambda traits: "decoder" in traits,
    documents_are_apart: lambda traits: "cross" not in traits,
    cache_equals_full_forward: lambda traits: "decoder" in traits,
    cache_crops: lambda traits: "decoder" in traits,
    cache_reorders: lambda traits: "decoder" in traits,
}


def loss(model: nn.Module) -> Tensor:
    """A loss that no norm makes constant: of the next token where there is one, of the states otherwise."""
    ids, source = torch.stack(texts(7, 7)), torch.stack(texts(6, 6))
    hidden = _forward(model, ids, source)
    if "decoder" in model.provides:
        return cross_entropy(model.logits(hidden[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
    target = torch.linspace(-1, 1, hidden.numel(), dtype=hidden.dtype).view_as(hidden)
    return (hidden - target.sin()).square().mean()


def texts(*lengths: int) -> list[Tensor]:
    """Token ids (T,) of texts of these lengths, all different and always the same."""
    generator = torch.Generator().manual_seed(sum(lengths))
    return [torch.randint(VOCABULARY, (length,), generator=generator) for length in lengths]


def _read(model: nn.Module, ids: Tensor, real: Tensor | None) -> Tensor:
    return model.encode(ids, real).states if "cross" in model.provides else model(ids, real)


def _forward(model: nn.Module, ids: Tensor, source: Tensor) -> Tensor:
    return model(source, ids) if "cross" in model.provides else model(ids)


def _write(model: nn.Module, row: Tensor, source: Tensor) -> Tensor:
    """The full forward of one text (T,), alone: (T, D)."""
    return _forward(model, row[None], source[None])[0]


def _start(model: nn.Module, sources: Sequence[Tensor]) -> State:
    return model.state(model.encode(*_pad_right(sources)) if "cross" in model.provides else None)


def _pieces(state: State, ids: Tensor, real: Tensor, pieces: list[int]) -> list[tuple[Tensor, State, Tensor]]:
    return [(piece, state, kept) for piece, kept in zip(ids.split(pieces, dim=1), real.split(pieces, dim=1), strict=True)]


def _pad_right(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    return _pad(rows, "right")


def _pad_left(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    return _pad(rows, "left")


def _pad(rows: Sequence[Tensor], side: str) -> tuple[Tensor, Tensor]:
    ids = pad_sequence(list(rows), batch_first=True, padding_side=side)
    real = pad_sequence([torch.ones_like(row, dtype=torch.bool) for row in rows], batch_first=True, padding_side=side)
    return ids, real


def _same(promise: str, got: Tensor, real: Tensor | None, rows: Sequence[Tensor], what: str) -> None:
    """got (B, T, D), its tokens where real (B, T), against the rows (T, D)."""
    for number, row in enumerate(rows):
        mine = got[number] if real is None else got[number][real[number]]
        difference = (mine - row).abs().max() if row.numel() else torch.zeros(())
        if not difference <= TOLERANCE:  # a NaN is not
            raise BrokenPromise(f"{promise}: {what}, row {number} differs by {difference:.2g}")


def _equal(promise: str, got: int, wanted: int, what: str) -> None:
    if got != wanted:
        raise BrokenPromise(f"{promise}: {what} is {got}, not {wanted}")
