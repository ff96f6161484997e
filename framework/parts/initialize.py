"""The first weights of every model, in one place."""

import math

import torch
from torch import nn

from framework.parts.embeddings import LMHead, Tokens
from framework.parts.stacks import Stack


@torch.no_grad()
def initialize(model: nn.Module, std: float) -> None:
    """Draws all weights anew. Radford et al. 2019 (GPT-2), section 2.3; nanoGPT, https://github.com/karpathy/nanoGPT

    | weights                                                               | first values             |
    |-----------------------------------------------------------------------|--------------------------|
    | linear maps, tables of embeddings, untied output                      | N(0, std)                |
    | linear maps named `output` that add to a stream no norm follows       | N(0, std / sqrt(n)), n additions to the stream |
    | tokens that are scaled by the root of their width (Vaswani)           | N(0, 1 / sqrt(width))    |
    | biases                                                                | 0                        |
    | norms                                                                 | gain 1, bias 0           |
    | parameters that a part holds itself                                   | as the part made them    |
    """
    if all(parameter.is_meta for parameter in model.parameters()):
        return  # sizes without values: drawing them takes longer than all the rest
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=std)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
        if isinstance(module, (nn.LayerNorm, nn.RMSNorm)):
            module.reset_parameters()
        if isinstance(module, LMHead):
            _output(module, std)
    for module in model.modules():
        if isinstance(module, Stack):
            _residual(module, std)
        if isinstance(module, Tokens) and module.scale != 1.0:
            nn.init.normal_(module.weight, std=1 / module.scale)


def _residual(stack: Stack, std: float) -> None:
    """Every addition to an unnormed stream adds to its variance: so many of them get so much less each."""
    if not stack.open_stream:
        return
    outputs = [
        module for name, module in stack.layers.named_modules() if name.rpartition(".")[2] == "output" and isinstance(module, nn.Linear)
    ]
    for module in outputs:
        nn.init.normal_(module.weight, std=std / math.sqrt(stack.additions))


def _output(output: LMHead, std: float) -> None:
    if output.weight is not None:
        nn.init.normal_(output.weight, std=std)
    if output.bias is not None:
        nn.init.zeros_(output.bias)
