"""Encoders: stacks that look both ways."""

from torch import Tensor

from framework.parts.stacks import PlainStack
from framework.registry import register


@register("encoder", "standard")
class Encoder(PlainStack):
    """Every token sees every token. Vaswani et al. 2017, section 3.1, https://arxiv.org/abs/1706.03762"""

    side = 0

    def forward(self, x: Tensor, positions: Tensor, padding_mask: Tensor | None = None, documents: Tensor | None = None) -> Tensor:
        """x (B, T, D) at positions (B or 1, T); padding_mask (B, T), True = a token; documents (B, T): a token sees its own alone."""
        layouts, masks, bias = self.shared(x, positions, padding_mask, documents)
        for layer, layout, mask in zip(self.layers, layouts, masks, strict=True):
            x = self.through(layer, x, layout, mask, bias, None)
        return self.final_norm(x)


@register("encoder", "shared")
class SharedEncoder(PlainStack):
    """Every token sees every token, by one layer applied again and again. Lan et al. 2020 (ALBERT), section 3.1

    https://arxiv.org/abs/1909.11942
    """

    side = 0
    one_for_all = True

    def forward(self, x: Tensor, positions: Tensor, padding_mask: Tensor | None = None, documents: Tensor | None = None) -> Tensor:
        """x (B, T, D) at positions (B or 1, T); padding_mask (B, T), True = a token; documents (B, T): a token sees its own alone."""
        layouts, masks, bias = self.shared(x, positions, padding_mask, documents)
        for layout, mask in zip(layouts, masks, strict=True):
            x = self.through(self.layers[0], x, layout, mask, bias, None)
        return self.final_norm(x)
