"""A decoder that leaves out layers in training."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from framework import Part, register

Decoder: Any = Part("decoder/standard").cls  # the class of any option may be the base of another


@register("decoder")
class SpecimenDecoder(Decoder):
    """LayerDrop: in training each layer is left out at random. Fan et al. 2020, section 3, https://arxiv.org/abs/1909.11556

    layer_dropout: probability that a layer is left out.
    """

    rules: ClassVar[dict[str, str]] = {
        **Decoder.rules,
        "0 <= layer_dropout < 1": "layer_dropout must be in [0, 1)",
        "layer_dropout == 0 or not activation_checkpointing": "layers that may be left out are not recomputed: set "
        "activation_checkpointing=false",
    }

    def __init__(self, layer_dropout: float = 0.0, **options: Any):
        super().__init__(**options)
        self.layer_dropout = layer_dropout

    def run_layers(self, x: Tensor, *arguments: Sequence[Any]) -> Tensor:
        """Embeddings x (B, T, D) -> hidden states (B, T, D). arguments: of the layers, layouts, masks and caches.

        A layer that is left out runs all the same, so that its parameters have a gradient, 0.
        """
        if not (self.training and self.layer_dropout):
            return super().run_layers(x, *arguments)
        for layer, *values in zip(self.layers, *arguments, strict=True):
            x = torch.where(torch.rand((), device=x.device) < self.layer_dropout, x, layer(x, *values))
        return self.final_norm(x)
