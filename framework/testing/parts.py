"""Contract tests of parts (their promises), as functions of a toy model in float64."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from framework.parts.caches import DecodingState
from framework.testing.dropout import WithoutDropout
from framework.testing.losses import total_loss
from framework.testing.parameters import check_gradients, load_saved
from framework.testing.promise import BrokenPromise
from framework.testing.toy_models import VOCABULARY, forward, loss, pad, texts
from framework.utils.recording import recorded_losses

TOLERANCE = 1e-5  # a part may compute inside in float32


def check(model: Any) -> None:
    """Run every contract test of the model's family. BrokenPromise: the first that fails."""
    for promise, holds_for in PROMISES.items():
        if holds_for(set(model.provides)):
            promise(model)


def gradients_reach_every_parameter(model: Any) -> None:
    """Every parameter has a gradient that is finite and not zero."""
    model.train()
    model.zero_grad()
    with recorded_losses() as auxiliary:
        first, second = loss(model), loss(model)
        drawn = [] if first.equal(second) else [loss(model) for _ in range(4)]  # a layer may be dropped at random
    own = torch.stack([first, second, *drawn]).sum()
    check_gradients(model, total_loss({"loss": (own, torch.ones(())), **auxiliary}))


@torch.no_grad()
def respects_padding(model: Any) -> None:
    """Hidden states of an encoder do not depend on padding, on either side and with any token."""
    model.eval()
    rows = texts(7, 4)
    alone = [_encode(model, row[None], None)[0] for row in rows]
    for side in ("right", "left"):
        ids, padding_mask = pad(rows, side)
        for filling in (0, 5):
            hidden = _encode(model, ids.masked_fill(~padding_mask, filling), padding_mask)
            _same("respects padding", hidden, padding_mask, alone, f"padded on the {side} with token {filling}")


@torch.no_grad()
def cross_attention_respects_padding(model: Any) -> None:
    """Hidden states of a decoder do not depend on padding of the source, with any token."""
    model.eval()
    sources, targets = texts(6, 3), texts(5, 5)
    alone = _alone(model, targets, sources)
    ids, padding_mask = pad(sources, "right")
    for filling in (0, 5):
        decoded = model(ids.masked_fill(~padding_mask, filling), torch.stack(targets), padding_mask)
        _same("cross-attention respects padding", decoded, None, alone, f"source padded with token {filling}")


@torch.no_grad()
def rows_are_independent(model: Any) -> None:
    """Hidden states of a row do not depend on the other rows of the batch, in evaluation and, without dropout, in training."""
    rows, sources = texts(6, 6, 6), texts(5, 5, 5)
    batch = torch.stack(rows), torch.stack(sources)
    for training in (False, True):
        model.train(training)
        with WithoutDropout():
            if training and not forward(model, *batch).equal(forward(model, *batch)):
                return  # random in another way than dropout: the two cannot be compared
            together, alone = forward(model, *batch), _alone(model, rows, sources)
        _same("rows are independent", together, None, alone, f"in {'training' if training else 'evaluation'}, three rows at once")


@torch.no_grad()
def respects_causality(model: Any) -> None:
    """A token changes the hidden state at its own position, and none before it."""
    model.eval()
    (row,), sources = texts(8), texts(5)
    (before,) = _alone(model, [row], sources)
    for position in range(len(row)):
        other = row.clone()
        other[position] = (row[position] + 1) % VOCABULARY
        (after,) = _alone(model, [other], sources)
        _same("respects causality", after[None, :position], None, [before[:position]], f"token {position} was changed")
        if torch.allclose(after[position], before[position], rtol=0, atol=TOLERANCE):
            raise BrokenPromise(f"respects causality: token {position} does not change the hidden state at its own position")


@torch.no_grad()
def documents_are_apart(model: Any) -> None:
    """Hidden states of documents packed into one row are those of each alone."""
    model.eval()
    rows = texts(3, 5, 4)
    documents = torch.cat([torch.full_like(row, number) for number, row in enumerate(rows)])
    packed = model(torch.cat(rows)[None], documents=documents[None])
    alone = torch.cat([model(row[None])[0] for row in rows])
    _same("documents are apart", packed, None, [alone], "three texts in one row")


@torch.no_grad()
def cache_equals_full_forward(model: Any) -> None:
    """Incremental decoding in any pieces, from rows padded on the left, gives the hidden states of the full forward pass."""
    model.eval()
    rows, sources = texts(8, 5), texts(6, 3)
    alone = _alone(model, rows, sources)
    ids, padding_mask = pad(rows, "left")
    for pieces in ([8], [1] * 8, [2, 1, 4, 1]):
        state = _start(model, sources)
        masked = zip(ids.split(pieces, dim=1), padding_mask.split(pieces, dim=1), strict=True)
        decoded = torch.cat([model.decode(piece, state, mask) for piece, mask in masked], dim=1)
        _same("cache equals full forward", decoded, padding_mask, alone, f"in pieces of {pieces}")
    equal = texts(6, 6)
    for count, pieces in ((2, [3, 1, 2]), (1, [1] * 6)):
        state = _start(model, sources[:count])
        decoded = torch.cat([model.decode(piece, state) for piece in torch.stack(equal[:count]).split(pieces, dim=1)], dim=1)
        alone = _alone(model, equal[:count], sources[:count])
        _same("cache equals full forward", decoded, None, alone, f"{count} texts without padding, in pieces of {pieces}")


@torch.no_grad()
def cache_reorders(model: Any) -> None:
    """Rows that change places, are repeated or leave continue with their own keys and values."""
    model.eval()
    rows, sources = texts(8, 5), texts(6, 3)
    alone = _alone(model, rows, sources)
    ids, padding_mask = pad(rows, "left")
    for order in ([1, 0], [1, 1, 0], [1]):
        state = _start(model, sources)
        model.decode(ids[:, :4], state, padding_mask[:, :4])
        model.decode(ids[:, 4:5], state, padding_mask[:, 4:5])
        state.reorder(torch.tensor(order))
        decoded = model.decode(ids[order, 5:], state, padding_mask[order, 5:])
        _same("cache reorders", decoded, None, [alone[row][-3:] for row in order], f"rows {order} of 2")


@torch.no_grad()
def cache_is_restored(model: Any) -> None:
    """Decoding continues from what the caches return as their state (an exported program hands it from call to call)."""
    model.eval()
    rows, sources = texts(8, 5), texts(6, 3)
    ids, padding_mask = pad(rows, "left")
    state = _start(model, sources)
    model.decode(ids[:, :5], state, padding_mask[:, :5])
    restored = replace(_start(model, sources), positions=state.positions, padding_mask=state.padding_mask)
    for cache, other in zip(restored.caches, state.caches, strict=True):
        cache.load_state(tuple(tensor.clone() for tensor in other.state()))
    decoded = model.decode(ids[:, 5:], restored, padding_mask[:, 5:])
    _same("cache is restored", decoded, None, [row[-3:] for row in _alone(model, rows, sources)], "after load_state")


@torch.no_grad()
def saves_and_loads(model: Any, other: Any) -> None:
    """Another model of the same parts gives the same outputs once it has loaded the saved weights."""
    load_saved(model, other)
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
    cache_reorders: lambda traits: "decoder" in traits,
    cache_is_restored: lambda traits: "decoder" in traits,
}


def _encode(model: Any, ids: Tensor, padding_mask: Tensor | None) -> Tensor:
    return model.encode(ids, padding_mask).hidden_states if "cross" in model.provides else model(ids, padding_mask)


def _alone(model: Any, rows: Sequence[Tensor], sources: Sequence[Tensor]) -> list[Tensor]:
    """Hidden states (T, D) of each text (T,), from a full forward pass of this text alone."""
    return [forward(model, row[None], source[None])[0] for row, source in zip(rows, sources, strict=True)]


def _start(model: Any, sources: Sequence[Tensor]) -> DecodingState:
    return model.state(model.encode(*pad(sources, "right")) if "cross" in model.provides else None)


def _same(promise: str, got: Tensor, padding_mask: Tensor | None, rows: Sequence[Tensor], what: str) -> None:
    """Compare got (B, T, D), where padding_mask (B, T) is True, with the rows (T, D)."""
    for number, row in enumerate(rows):
        values = got[number] if padding_mask is None else got[number][padding_mask[number]]
        difference = (values - row).abs().max() if row.numel() else torch.zeros(())
        if not difference <= TOLERANCE:  # NaN differs
            raise BrokenPromise(f"{promise}: {what}, row {number} differs by {difference:.2g}")
