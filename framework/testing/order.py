"""Contract test: a model learns which of two words comes first, which a bag of words cannot."""

from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from framework.testing.promise import BrokenPromise

FIRST, SECOND = 1, 2  # all other tokens are noise
LENGTH, STEPS = 6, 150


def order_is_learned(model: Any) -> None:
    """A short training teaches the model to classify texts by the order of two words. The model is changed.

    Every text occurs with the two words swapped, so a model that ignores the order has an accuracy of 50%.
    """
    torch.manual_seed(0)
    model.train()
    ids, labels = texts()
    head = nn.Linear(model.dim, 2).to(ids.device, next(model.parameters()).dtype)
    optimizer = torch.optim.AdamW([*model.parameters(), *head.parameters()], lr=5e-3)
    for _ in range(STEPS):
        loss = cross_entropy(head(states(model, ids)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss.item() < 0.1:
            return
    accuracy = (head(states(model, ids)).argmax(-1) == labels).double().mean().item()
    raise BrokenPromise(
        f"learns the order of words: after {STEPS} steps the accuracy is {accuracy:.0%} (loss {loss.item():.2f}); a bag of words has 50%"
    )


def texts() -> tuple[Tensor, Tensor]:
    """ids (B, T) that begin with the same token, and labels (B,): 1 where FIRST is before SECOND."""
    generator = torch.Generator().manual_seed(0)
    rows, labels = [], []
    for early, late in combinations(range(1, LENGTH + 1), 2):
        noise = torch.randint(3, 7, (LENGTH + 1,), generator=generator)
        noise[0] = 0
        for one, other in ((early, late), (late, early)):
            row = noise.clone()
            row[one], row[other] = FIRST, SECOND
            rows.append(row)
            labels.append(int(one < other))
    return torch.stack(rows), torch.tensor(labels)


def states(model: Any, ids: Tensor) -> Tensor:
    """(B, D): mean of an encoder's hidden states, last of a decoder's; an encoder-decoder gets the text as source and target."""
    if "cross" in model.provides:
        return model(ids, ids)[:, -1]
    hidden = model(ids)
    return hidden.mean(1) if "encoder" in model.provides else hidden[:, -1]
