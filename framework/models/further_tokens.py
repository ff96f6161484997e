"""Multi-token prediction: heads of a decoder-only model for the tokens after the next one, which only training uses."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from framework.parts.stacks import PaddingSide
from framework.registry import Part, as_part
from framework.registry.layers import ADDED
from framework.utils.recording import add_loss


class FurtherTokens(nn.Module):
    """Heads that predict the tokens after the next one. Gloeckle et al. 2024, section 2, https://arxiv.org/abs/2404.19737

    A head is a layer such as those of the decoder, with a final norm. Like the decoder's last layer it reads the hidden states before that
    layer, and its outputs become logits by the model's output layer. The number of a token counts from the next one, which is 1.

    count: further tokens. weight: of each head's loss. decoder: a Part, called with `context`.
    """

    def __init__(self, count: int, weight: float, decoder: Part, context: dict[str, Any]):
        super().__init__()
        self.weight = weight
        values = {**decoder.values, "layers": None}
        position = as_part(values.get("position") or context["position"])
        if ADDED in getattr(position.cls, "provides", ()):  # the embeddings have it
            values["position"] = Part("position/none")
        head = Part(decoder.target, **values)
        self.heads = nn.ModuleList(head(**{**context, "num_layers": 1}) for _ in range(count))

    def forward(
        self,
        trunk: Tensor,
        ids: Tensor,
        logits: Callable[[Tensor], Tensor],
        positions: Tensor,
        padding_mask: Tensor | None,
        documents: Tensor | None,
        padding_side: PaddingSide,
    ) -> None:
        """Adds the losses `token_2`, `token_3`, ...: means over the tokens ids (B, T) that are as far from a token of their own document.

        trunk: hidden states (B, T, D) before the decoder's last layer. logits: the model's output layer. The others are the decoder's.
        """
        for number, head in enumerate(self.heads, start=2):
            count = max(0, ids.shape[1] - number)
            hidden = head(trunk, positions, padding_mask, documents, None, padding_side)[:, :count]
            targets = ids[:, number:]
            real = torch.ones_like(targets, dtype=torch.bool)
            if padding_mask is not None:
                real = padding_mask[:, number:] & padding_mask[:, :count]
            if documents is not None:
                real = real & (documents[:, number:] == documents[:, :count])
            scores = logits(hidden).flatten(0, 1)
            scores = scores.float() if scores.dtype.itemsize < 4 else scores
            losses = functional.cross_entropy(scores, targets.flatten(), reduction="none")
            add_loss(f"token_{number}", self.weight * losses * real.flatten(), weight=real.sum())
