"""A rule that a bag of words cannot learn: which of two words comes first."""

from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from framework.testing.promise import BrokenPromise

FIRST, SECOND = 1, 2  # the two words; all others are noise
LENGTH, STEPS = 6, 150


def order_is_learned(model: Any) -> None:
    """After a short training the model tells texts in which one word stands before another from the same words the other way round.

    Every text comes with its mirror image, so that whoever only counts words is right half of the time. The model is changed.
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
    right = (head(states(model, ids)).argmax(-1) == labels).double().mean().item()
    raise BrokenPromise(
        f"learns the order of words: after {STEPS} steps it is right about {right:.0%} of the texts (loss {loss.item():.2f}); "
        "who only counts words is right about 50%"
    )


def texts() -> tuple[Tensor, Tensor]:
    """ids (B, T) that begin with the same token, and whether FIRST stands before SECOND."""
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
    """(B, D): the mean of what an encoder reads, the last of what a decoder writes (over the same text, where it has a source)."""
    if "cross" in model.provides:
        return model(ids, ids)[:, -1]
    hidden = model(ids)
    return hidden.mean(1) if "encoder" in model.provides else hidden[:, -1]
