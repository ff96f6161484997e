"""From the states of an encoder to scores of tokens."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from framework.parts.embeddings import Tokens


class TokenHead(nn.Module):
    """A layer, and the table of the embeddings as the output, with a bias for each token. Devlin et al. 2019, section 3.1; as in
    https://github.com/google-research/bert/blob/master/run_pretraining.py (get_masked_lm_output)

    dim: of the states. width: of the table.
    """

    def __init__(self, dim: int, width: int, vocabulary: int):
        super().__init__()
        self.transform = nn.Linear(dim, width)
        self.norm = nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, hidden: Tensor, tokens: Tokens) -> Tensor:
        """hidden (N, D) -> (N, V). The table is handed in: it is the model's."""
        x = self.norm(functional.gelu(self.transform(hidden)))  # (N, E)
        return functional.linear(x, tokens.weight, self.bias)
