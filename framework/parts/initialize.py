"""Weight initialization of every model, in one place."""

import math
from typing import Any

import torch
from torch import nn

from framework.parts.blocks import Block
from framework.parts.embeddings import LMHead, Tokens
from framework.parts.stacks import Stack


@torch.no_grad()
def initialize(model: nn.Module, std: float) -> None:
    """Initialize all weights. Radford et al. 2019 (GPT-2), section 2.3; nanoGPT, https://github.com/karpathy/nanoGPT

    | weights                                                                   | initial values           |
    |---------------------------------------------------------------------------|--------------------------|
    | linear maps, embeddings, untied LM head                                   | N(0, std)                |
    | linear maps named `output` in a stack whose residual stream has no norm   | N(0, std / sqrt(n)), n additions to the stream |
    | token embeddings that are scaled by sqrt(embedding_dim)                   | N(0, 1 / sqrt(embedding_dim)) |
    | biases                                                                    | 0                        |
    | norms                                                                     | weight 1, bias 0         |
    | other parameters of a part                                                | as its constructor set them |

    A part with other initial values has a method `initialize_weights(std)`: it is called after the table is applied, inner parts
    first, and sets what it wants to differ. A block sets weights of the sublayers of its layer by `initialize_layer(layer, std)`.
    """
    if all(parameter.is_meta for parameter in model.parameters()):
        return  # shapes alone are wanted
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=std)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
        if isinstance(module, (nn.LayerNorm, nn.RMSNorm)):
            module.reset_parameters()
        if isinstance(module, LMHead) and module.weight is not None:
            nn.init.normal_(module.weight, std=std)
        if isinstance(module, LMHead) and module.bias is not None:
            nn.init.zeros_(module.bias)
    for module in model.modules():
        if isinstance(module, Stack) and module.residual_additions:
            for name, linear in module.layers.named_modules():  # the variance of the stream grows with every addition
                if name.rpartition(".")[2] == "output" and isinstance(linear, nn.Linear):
                    nn.init.normal_(linear.weight, std=std / math.sqrt(module.residual_additions))
        if isinstance(module, Tokens) and module.scale != 1.0:
            nn.init.normal_(module.weight, std=1 / module.scale)
    for module in reversed(list(model.modules())):  # modules() lists a module before those inside it
        own: Any = getattr(module, "initialize_weights", None)
        if own is not None:
            own(std)
        if isinstance(block := getattr(module, "block", None), Block):
            block.initialize_layer(module, std)
