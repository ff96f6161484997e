"""An encoder that mixes the outputs of its layers."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from framework import Part, register

Encoder: Any = Part("encoder/standard").cls  # the class of any option may be the base of another


@register("encoder")
class SpecimenEncoder(Encoder):
    """Scalar mix: the weighted mean of the outputs of all layers. Peters et al. 2018, equation 1,

    https://arxiv.org/abs/1802.05365

    mix_temperature: divides the learned weights before their softmax; the larger, the more equal the layers.
    """

    rules: ClassVar[dict[str, str]] = {
        **Encoder.rules,
        "mix_temperature > 0": "mix_temperature must be positive",
        "not activation_checkpointing": "this encoder recomputes no layer: set activation_checkpointing=false",
    }

    def __init__(self, mix_temperature: float = 1.0, **options: Any):
        super().__init__(**options)
        self.mix_temperature = mix_temperature
        self.mix = nn.Parameter(torch.zeros(len(self.depths)))

    def run_layers(self, x: Tensor, *arguments: Sequence[Any]) -> Tensor:
        """Embeddings x (B, T, D) -> hidden states (B, T, D). arguments: of the layers, layouts and masks."""
        mixed = torch.zeros_like(x)
        for layer, weight, *values in zip(self.by_depth(), (self.mix / self.mix_temperature).softmax(0), *arguments, strict=True):
            x = layer(x, *values)
            mixed = mixed + weight * x
        return self.final_norm(mixed)
