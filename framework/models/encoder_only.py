"""BERT's family."""

from typing import ClassVar

from torch import Tensor

from framework.models.base import DataSpec, Model
from framework.parts.embeddings import Embeddings, Pooler, Tokens
from framework.parts.initialize import initialize
from framework.parts.layout import make_positions
from framework.registry import Part, choice, register


@register("model")
class EncoderOnlyModel(Model):
    """Reads a text at once, each token seeing all others. Devlin et al. 2019 (BERT), section 3, https://arxiv.org/abs/1810.04805

    segments: kinds of segments that have an embedding (BERT: 2); 0 = none.
    pooler: whether a layer with a tanh makes one vector of the first token's state (BERT: it learned from it whether two texts follow
        each other). It stays as it is until a task takes it.
    encoder: the stack.
    """

    provides: ClassVar = {"encoder": "True", "pooler": "pooler"}

    def __init__(
        self,
        spec: DataSpec,
        dim: int = 256,
        num_heads: int = 4,
        num_layers: int = 4,
        dropout: float = 0.1,
        bias: bool = True,
        epsilon: float = 1e-5,
        max_length: int = 512,
        segments: int = 0,
        pooler: bool = False,
        embedding_dim: int | None = None,
        embedding_scale: bool = False,
        initial_std: float = 0.02,
        attention: Part = choice("attention", "multi_head"),
        position: Part = choice("position", "learned"),
        feed_forward: Part = choice("feed_forward", "mlp"),
        norm: Part = choice("norm", "layer"),
        block: Part = choice("block", "pre_norm"),
        embedding_norm: Part = choice("norm", "none"),
        encoder: Part = choice("encoder", "standard"),
    ):
        super().__init__()
        self.spec, self.dim = spec, dim
        self.bias, self.epsilon = bias, epsilon  # a head that ends what the layers began has them as they do
        width = embedding_dim or dim
        self.tokens = Tokens(spec.vocab_size, width, embedding_scale)
        self.embeddings = Embeddings(dim, width, dropout, bias, epsilon, embedding_norm, segments)
        self.encoder = encoder(
            dim=dim,
            num_heads=num_heads,
            dropout=dropout,
            bias=bias,
            epsilon=epsilon,
            max_length=max_length,
            depths=(num_layers, 0),
            embedding_dim=width,
            attention=attention,
            position=position,
            feed_forward=feed_forward,
            norm=norm,
            block=block,
        )
        self.pooler = Pooler(dim).requires_grad_(False) if pooler else None
        initialize(self, initial_std)

    def forward(
        self,
        ids: Tensor,
        padding_mask: Tensor | None = None,
        segments: Tensor | None = None,
        positions: Tensor | None = None,
        documents: Tensor | None = None,
    ) -> Tensor:
        """ids (B, T) -> (B, T, D). padding_mask (B, T): True = a token, None = all are. Positions count tokens when not given."""
        positions = make_positions(ids, padding_mask, documents) if positions is None else positions
        x = self.embeddings(self.tokens(ids), self.encoder.position, positions, segments)
        return self.encoder(x, positions, padding_mask, documents)
