"""What parts promise, as functions over a toy model; everything runs in float64, where equal means equal to a billionth."""

import io
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from framework.parts.caches import DecodingState
from framework.testing.promise import BrokenPromise
from framework.testing.toy_models import VOCABULARY, forward, loss, pad_left, pad_right, texts

TOLERANCE = 1e-9


def check(model: Any) -> None:
    """Every promise of the model's family. BrokenPromise: the first that does not hold."""
    for promise, holds_for in PROMISES.items():
        if holds_for(set(model.provides)):
            promise(model)


def gradients_reach_every_parameter(model: Any) -> None:
    """No parameter waits in vain."""
    model.train()
    model.zero_grad()
    loss(model).backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is None or not parameter.grad.isfinite().all() or not parameter.grad.any():
            state = "none" if parameter.grad is None else "not finite" if not parameter.grad.isfinite().all() else "zero"
            raise BrokenPromise(f"gradients reach every parameter: that of {name} is {state}")


@torch.no_grad()
def respects_padding(model: Any) -> None:
    """What an encoder reads is the same with padding on either side, whatever stands in the padding."""
    model.eval()
    rows = texts(7, 4)
    alone = [_read(model, row[None], None)[0] for row in rows]
    for pad in (pad_right, pad_left):
        ids, padding_mask = pad(rows)
        for filling in (0, 5):
            read = _read(model, ids.masked_fill(~padding_mask, filling), padding_mask)
            _same("respects padding", read, padding_mask, alone, f"{pad.__name__} with token {filling}")


@torch.no_grad()
def cross_attention_respects_padding(model: Any) -> None:
    """What is written is the same however far its source is padded, whatever stands in the padding."""
    model.eval()
    sources, targets = texts(6, 3), texts(5, 5)
    alone = [_write(model, target, source) for target, source in zip(targets, sources, strict=True)]
    ids, padding_mask = pad_right(sources)
    for filling in (0, 5):
        written = model(ids.masked_fill(~padding_mask, filling), torch.stack(targets), padding_mask)
        _same("cross-attention respects padding", written, None, alone, f"source padded with token {filling}")


@torch.no_grad()
def rows_are_independent(model: Any) -> None:
    """A row is the same alone and between others."""
    model.eval()
    rows, sources = texts(6, 6, 6), texts(5, 5, 5)
    alone = [forward(model, row[None], source[None])[0] for row, source in zip(rows, sources, strict=True)]
    _same("rows are independent", forward(model, torch.stack(rows), torch.stack(sources)), None, alone, "three rows at once")


@torch.no_grad()
def respects_causality(model: Any) -> None:
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
def documents_are_apart(model: Any) -> None:
    """Texts packed into one row are as if each stood alone."""
    model.eval()
    rows = texts(3, 5, 4)
    documents = torch.cat([torch.full_like(row, number) for number, row in enumerate(rows)])
    packed = model(torch.cat(rows)[None], documents=documents[None])
    alone = torch.cat([model(row[None])[0] for row in rows])
    _same("documents are apart", packed, None, [alone], "three texts in one row")


@torch.no_grad()
def cache_equals_full_forward(model: Any) -> None:
    """Written in any pieces, from rows padded on the left, a text is what it is at once."""
    model.eval()
    rows, sources = texts(8, 5), texts(6, 3)
    alone = [_write(model, row, source) for row, source in zip(rows, sources, strict=True)]
    ids, padding_mask = pad_left(rows)
    for pieces in ([8], [1] * 8, [2, 1, 4, 1]):
        state = _start(model, sources)
        written = torch.cat([model.decode(*piece) for piece in _pieces(state, ids, padding_mask, pieces)], dim=1)
        _same("cache equals full forward", written, padding_mask, alone, f"in pieces of {pieces}")
    equal = texts(6, 6)
    state = _start(model, sources)
    written = torch.cat([model.decode(piece, state) for piece in torch.stack(equal).split([3, 1, 2], dim=1)], dim=1)
    alone = [_write(model, row, source) for row, source in zip(equal, sources, strict=True)]
    _same("cache equals full forward", written, None, alone, "without padding, in pieces of [3, 1, 2]")


@torch.no_grad()
def cache_crops(model: Any) -> None:
    """Back to anywhere in the last piece, and on from there, is as if the rest had never been written."""
    model.eval()
    rows, sources = texts(8, 5), texts(6, 3)
    ids, padding_mask = pad_left(rows)
    alone = [_write(model, row, source) for row, source in zip(rows, sources, strict=True)]
    wrong = (ids + 1) % VOCABULARY
    for length in (3, 5, 7):
        state = _start(model, sources)
        model.decode(ids[:, :3], state, padding_mask[:, :3])
        model.decode(torch.cat((ids[:, 3:length], wrong[:, length:]), dim=1), state, padding_mask[:, 3:])
        state.crop(length)
        _equal("cache crops", state.length, length, "length of the state")
        written = model.decode(ids[:, length:], state, padding_mask[:, length:])
        _same("cache crops", written, None, [each[length - 8 :] for each in alone], f"from 8 to {length} tokens")


@torch.no_grad()
def cache_reorders(model: Any) -> None:
    """Rows that take each other's place, double or leave go on as the rows they were."""
    model.eval()
    rows, sources = texts(8, 5), texts(6, 3)
    ids, padding_mask = pad_left(rows)
    for order in ([1, 0], [1, 1, 0], [1]):
        state = _start(model, sources)
        model.decode(ids[:, :4], state, padding_mask[:, :4])
        model.decode(ids[:, 4:5], state, padding_mask[:, 4:5])
        state.reorder(torch.tensor(order))
        written = model.decode(ids[order, 5:], state, padding_mask[order, 5:])
        alone = [_write(model, rows[row], sources[row])[-3:] for row in order]
        _same("cache reorders", written, None, alone, f"rows {order} of 2")


@torch.no_grad()
def saves_and_loads(model: Any, other: Any) -> None:
    """Another model of the same parts, begun with other weights, computes the same once it has loaded the saved ones."""
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    for each in (model, other):
        each.eval()
    rows, sources = torch.stack(texts(6, 6)), torch.stack(texts(5, 5))
    unsaved = sorted({name for name, _ in other.named_buffers()} - set(other.state_dict()))
    note = f" (not saved: {', '.join(unsaved)})" if unsaved else ""
    _same("saves and loads", forward(other, rows, sources), None, list(forward(model, rows, sources)), f"loaded again{note}")


PROMISES: dict[Callable[[Any], None], Callable[[set[str]], bool]] = {
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


def _read(model: Any, ids: Tensor, padding_mask: Tensor | None) -> Tensor:
    return model.encode(ids, padding_mask).hidden_states if "cross" in model.provides else model(ids, padding_mask)


def _write(model: Any, row: Tensor, source: Tensor) -> Tensor:
    """The full forward of one text (T,), alone: (T, D)."""
    return forward(model, row[None], source[None])[0]


def _start(model: Any, sources: Sequence[Tensor]) -> DecodingState:
    return model.state(model.encode(*pad_right(sources)) if "cross" in model.provides else None)


def _pieces(state: DecodingState, ids: Tensor, padding_mask: Tensor, pieces: list[int]) -> list[tuple[Tensor, DecodingState, Tensor]]:
    return [(piece, state, kept) for piece, kept in zip(ids.split(pieces, dim=1), padding_mask.split(pieces, dim=1), strict=True)]


def _same(promise: str, got: Tensor, padding_mask: Tensor | None, rows: Sequence[Tensor], what: str) -> None:
    """got (B, T, D), its tokens where padding_mask (B, T), against the rows (T, D)."""
    for number, row in enumerate(rows):
        mine = got[number] if padding_mask is None else got[number][padding_mask[number]]
        difference = (mine - row).abs().max() if row.numel() else torch.zeros(())
        if not difference <= TOLERANCE:  # a NaN is not
            raise BrokenPromise(f"{promise}: {what}, row {number} differs by {difference:.2g}")


def _equal(promise: str, got: int, wanted: int, what: str) -> None:
    if got != wanted:
        raise BrokenPromise(f"{promise}: {what} is {got}, not {wanted}")
