"""Exact matches and right tokens, over all rows and by kind."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics.utilities.data import dim_zero_cat

from framework import Resampled, RowMetric


class ExactMatch(RowMetric):
    """`exact_match`, the share of rows of which every token is right, `token_accuracy`, and `exact_match/KIND` of the rows of each kind.

    The kinds are those of the rows, which no rank knows before. The states are one row of numbers for each row, and the names of their
    kinds as bytes, each with a line feed, so that those of several ranks join to those of all.
    """

    higher_is_better = True
    numbers: list[Tensor]  # (2 N,): right tokens and all tokens of each row
    names: list[Tensor]  # bytes of the kinds

    def __init__(self) -> None:
        super().__init__()
        self.set_dtype(torch.float64)  # also of the empty states of a rank without rows
        self.add_state("numbers", [], dist_reduce_fx="cat")
        self.add_state("names", [], dist_reduce_fx="cat")

    def update(self, right: Sequence[int], tokens: Sequence[int], kinds: Sequence[str]) -> None:  # type: ignore[override]
        """right, tokens: of each row, its tokens that are right, and all; kinds: a name for each row, without line feeds."""
        assert len(right) == len(tokens) == len(kinds), f"{len(right)}, {len(tokens)} and {len(kinds)} rows"
        self.numbers.append(torch.tensor([right, tokens], dtype=torch.float64, device=self.device).T.flatten())
        named = "".join(f"{kind}\n" for kind in kinds).encode()
        self.names.append(torch.tensor(list(named), dtype=torch.float64, device=self.device))
        if self.kept is not None:
            self.kept += zip(right, tokens, kinds, strict=True)

    def compute(self) -> Any:
        if not len(self.numbers):
            return {}
        right, tokens = np.array(dim_zero_cat(self.numbers).tolist()).reshape(-1, 2).T
        kinds = bytes(map(int, dim_zero_cat(self.names).tolist())).decode().split("\n")[:-1]
        return {name: torch.tensor(value, dtype=torch.float64) for name, value in resampled(right, tokens, kinds).figures().items()}

    def resampled(self) -> Resampled:
        assert self.kept is not None, "keep_rows comes before the rows"
        right, tokens, kinds = zip(*self.kept, strict=True) if self.kept else ((), (), ())
        return resampled(np.array(right, dtype=np.float64), np.array(tokens, dtype=np.float64), kinds)


def resampled(right: Any, tokens: Any, kinds: Sequence[str]) -> Resampled:
    """The figures of any choice of the rows."""
    of_kind = {name: np.array([kind == name for kind in kinds]) for name in sorted(set(kinds))}
    exact = (right == tokens).astype(np.float64)

    def of(weights: Any) -> dict[str, Any]:
        with np.errstate(all="ignore"):  # a resample may have no row of a kind
            by_kind = {f"exact_match/{name}": weights[:, rows] @ exact[rows] / weights[:, rows].sum(1) for name, rows in of_kind.items()}
            return {"exact_match": weights @ exact / weights.sum(1), "token_accuracy": weights @ right / (weights @ tokens), **by_kind}

    return Resampled(len(right), of)
