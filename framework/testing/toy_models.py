"""Toy models and texts for tests."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from framework.data.spec import DataSpec
from framework.registry import Part

VOCABULARY = 23
# Large initial weights, so that a token that should be masked changes the output measurably.
OPTIONS = {"dim": 16, "num_heads": 4, "num_layers": 2, "dropout": 0.0, "max_length": 32, "initial_std": 0.3}


def toy_model(model: Part | str, seed: int = 0, **values: Any) -> Any:
    """A toy model in float64: a family ("encoder_only", ...) or a Part of kind model; values set its slots and options."""
    return build_toy(model, seed, **values).double()


def build_toy(model: Part | str, seed: int = 0, **values: Any) -> Any:
    """A toy model as a run builds it, in float32."""
    torch.manual_seed(seed)
    part = Part(f"model/{model}") if isinstance(model, str) else model
    options = {**OPTIONS, **part.values, **values}
    return Part(part.target, **options)(spec=DataSpec(VOCABULARY, options["max_length"]))


@torch.no_grad()
def perturb(model: nn.Module, seed: int = 0) -> None:
    """Add noise to every parameter, as training does: a gate that begins at zero would hide what is behind it."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)


def loss(model: Any) -> Tensor:
    """A loss that no norm makes constant: cross-entropy of the next token, or squared error of an encoder's hidden states."""
    ids, source = torch.stack(texts(7, 7)), torch.stack(texts(6, 6))
    hidden = forward(model, ids, source)
    if "decoder" in model.provides:
        return cross_entropy(model.logits(hidden[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
    target = torch.linspace(-1, 1, hidden.numel(), dtype=hidden.dtype).view_as(hidden)
    return (hidden - target.sin()).square().mean()


def texts(*lengths: int) -> list[Tensor]:
    """Token ids (T,) of texts of these lengths: different texts, the same in every call."""
    generator = torch.Generator().manual_seed(sum(lengths))
    return [torch.randint(VOCABULARY, (length,), generator=generator) for length in lengths]


def forward(model: Any, ids: Tensor, source: Tensor) -> Tensor:
    return model(source, ids) if "cross" in model.provides else model(ids)


def pad(rows: Sequence[Tensor], side: str) -> tuple[Tensor, Tensor]:
    """ids (B, T) and padding_mask (B, T) of rows (T,). side: left or right."""
    ids = pad_sequence(list(rows), batch_first=True, padding_side=side)
    padding_mask = pad_sequence([torch.ones_like(row, dtype=torch.bool) for row in rows], batch_first=True, padding_side=side)
    return ids, padding_mask
