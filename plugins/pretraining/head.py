"""The masked language modeling head of an encoder."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from framework import Tokens


class TokenHead(nn.Module):
    """A hidden layer, and the token embeddings as output layer, with a bias for each token. Devlin et al. 2019, section 3.1; as in
    https://github.com/google-research/bert/blob/master/run_pretraining.py (get_masked_lm_output)

    dim: of the hidden states. width: of the embeddings. bias: whether the hidden layer and its norm have a bias.
    """

    def __init__(self, dim: int, width: int, vocab_size: int, bias: bool, epsilon: float, activation: Callable[[Tensor], Tensor]):
        super().__init__()
        self.transform = nn.Linear(dim, width, bias=bias)
        self.activation = activation
        self.norm = nn.LayerNorm(width, eps=epsilon, bias=bias)
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def forward(self, hidden: Tensor, tokens: Tokens) -> Tensor:
        """hidden (N, D) -> (N, V). The embeddings are an argument: they are the model's."""
        x = self.norm(self.activation(self.transform(hidden)))  # (N, E)
        return tokens.logits(x, bias=self.bias)


def token_head(model: Any, vocab_size: int) -> TokenHead:
    """The head of a model, with the bias, epsilon and activation of its layers, as in published models."""
    activation = next((module.activation for module in model.encoder.modules() if hasattr(module, "activation")), functional.gelu)
    return TokenHead(model.dim, model.tokens.embedding_dim, vocab_size, model.bias, model.epsilon, activation)
