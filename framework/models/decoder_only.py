"""GPT's family."""

from typing import ClassVar

from torch import Tensor

from framework.models.base import DataSpec, Model
from framework.parts.caches import DecodingState, EncoderOutput
from framework.parts.embeddings import Embeddings, LMHead, Tokens
from framework.parts.initialize import initialize
from framework.parts.layout import make_positions
from framework.registry import Part, choice, register


@register("model")
class DecoderOnlyModel(Model):
    """Goes on with a text, each token seeing what came before (GPT-2). Liu et al. 2018, section 4.2.3, https://arxiv.org/abs/1801.10198

    tied: the embeddings of the tokens are the weights of the output as well.
    output_bias: a bias for each token's score.
    output_scale: factor on the states before the output (T5: 1 / sqrt(dim)).
    decoder: the stack.
    """

    provides: ClassVar = {"decoder": "True", "untied": "not tied"}

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
        embedding_dim: int | None = None,
        embedding_scale: bool = False,
        tied: bool = True,
        output_bias: bool = False,
        output_scale: float = 1.0,
        initial_std: float = 0.02,
        attention: Part = choice("attention", "multi_head"),
        position: Part = choice("position", "learned"),
        feed_forward: Part = choice("feed_forward", "mlp"),
        norm: Part = choice("norm", "layer"),
        block: Part = choice("block", "pre_norm"),
        embedding_norm: Part = choice("norm", "none"),
        decoder: Part = choice("decoder", "standard"),
    ):
        super().__init__()
        self.spec, self.dim = spec, dim
        width = embedding_dim or dim
        self.tokens = Tokens(spec.vocab_size, width, embedding_scale)
        self.embeddings = Embeddings(dim, width, dropout, bias, epsilon, embedding_norm)
        self.decoder = decoder(
            dim=dim,
            num_heads=num_heads,
            dropout=dropout,
            bias=bias,
            epsilon=epsilon,
            max_length=max_length,
            depths=(0, num_layers),
            embedding_dim=width,
            attention=attention,
            position=position,
            feed_forward=feed_forward,
            norm=norm,
            block=block,
        )
        self.lm_head = LMHead(spec.vocab_size, dim, width, tied, output_bias, output_scale)
        initialize(self, initial_std)

    def forward(
        self,
        ids: Tensor,
        padding_mask: Tensor | None = None,
        positions: Tensor | None = None,
        documents: Tensor | None = None,
        state: DecodingState | None = None,
    ) -> Tensor:
        """ids (B, T) -> (B, T, D). Padding on the left needs padding_mask (B, T), True = a token; padding on the right needs nothing.
        With a state the tokens go on where it stands."""
        if positions is None:
            positions = make_positions(ids, padding_mask, documents) if state is None else state.next_positions(ids, padding_mask)
        x = self.embeddings(self.tokens(ids), self.decoder.position, positions)
        return self.decoder(x, positions, padding_mask, documents, state)

    def state(self, encoder_output: EncoderOutput | None = None) -> DecodingState:
        """The state of a text of which nothing is written."""
        assert encoder_output is None, "a decoder-only model has nothing to look back at"
        return self.decoder.state()

    def decode(self, ids: Tensor, state: DecodingState, padding_mask: Tensor | None = None) -> Tensor:
        """Adds the tokens ids (B, T) to the state: their hidden states (B, T, D)."""
        return self(ids, padding_mask, state=state)

    def logits(self, hidden: Tensor) -> Tensor:
        """hidden (B, T, D) -> scores of the tokens that come next (B, T, V)."""
        return self.lm_head(hidden, self.tokens)
