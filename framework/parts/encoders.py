"""Encoders: stacks that look both ways."""

from torch import Tensor

from framework.parts.stacks import Stack, Window
from framework.registry import Part, choice, register


@register("encoder", "standard")
class Encoder(Stack):
    """Every token sees every token. Vaswani et al. 2017, section 3.1, https://arxiv.org/abs/1706.03762"""

    side = 0

    def __init__(
        self,
        dim: int,
        heads: int,
        dropout: float,
        bias: bool,
        epsilon: float,
        max_length: int,
        depths: tuple[int, int],
        embedding_dim: int,
        attention: Part = choice("attention", "multi_head", follows="attention"),
        position: Part = choice("position", "learned", follows="position"),
        feed_forward: Part = choice("feed_forward", "mlp", follows="feed_forward"),
        norm: Part = choice("norm", "layer", follows="norm"),
        block: Part = choice("block", "pre_norm", follows="block"),
        final_norm: Part = choice("norm", "layer", follows="norm"),
        window: Window = None,
        checkpointing: bool = False,
    ):
        super().__init__(
            {"attention": attention, "feed_forward": feed_forward},
            position,
            norm,
            block,
            final_norm,
            window,
            checkpointing,
            dim=dim,
            heads=heads,
            dropout=dropout,
            bias=bias,
            epsilon=epsilon,
            max_length=max_length,
            depths=depths,
            embedding_dim=embedding_dim,
        )

    def forward(self, x: Tensor, positions: Tensor, real: Tensor | None = None, documents: Tensor | None = None) -> Tensor:
        """x (B, T, D) at positions (B or 1, T); real (B, T), True = a token; documents (B, T): a token sees its own alone."""
        place, masks, bias = self.shared(x, positions, real, documents)
        for layer, mask in zip(self.layers, masks, strict=True):
            x = self.through(layer, x, place, mask, bias, None)
        return self.final_norm(x)
