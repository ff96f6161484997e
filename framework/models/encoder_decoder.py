"""The Transformer, T5 and BART's family."""

from typing import ClassVar

from torch import Tensor

from framework.models.base import DataSpec, Model
from framework.parts.caches import DecodingState, EncoderOutput
from framework.parts.embeddings import Embeddings, LMHead, Tokens
from framework.parts.initialize import initialize
from framework.parts.layout import make_positions
from framework.registry import Part, choice, register


@register("model")
class EncoderDecoderModel(Model):
    """Reads one text and writes another, over one vocabulary. Vaswani et al. 2017, section 3, https://arxiv.org/abs/1706.03762

    num_decoder_layers: layers of the decoder; null = num_layers.
    tied: the embeddings of the tokens are the weights of the output as well.
    output_bias: a bias for each token's score.
    output_scale: factor on the states before the output (T5: 1 / sqrt(dim)).
    encoder: the stack that reads.
    decoder: the stack that writes.
    """

    provides: ClassVar = ("encoder", "decoder", "cross")
    rules: ClassVar[dict[str, str]] = {**Model.rules, "num_decoder_layers is None or num_decoder_layers > 0": "a decoder has layers"}

    def __init__(
        self,
        spec: DataSpec,
        dim: int = 256,
        num_heads: int = 4,
        num_layers: int = 4,
        num_decoder_layers: int | None = None,
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
        encoder: Part = choice("encoder", "standard"),
        decoder: Part = choice("decoder", "cross"),
    ):
        super().__init__()
        self.spec, self.dim = spec, dim
        width = embedding_dim or dim
        offers = {
            "dim": dim,
            "num_heads": num_heads,
            "dropout": dropout,
            "bias": bias,
            "epsilon": epsilon,
            "max_length": max_length,
            "depths": (num_layers, num_layers if num_decoder_layers is None else num_decoder_layers),
            "embedding_dim": width,
            "attention": attention,
            "position": position,
            "feed_forward": feed_forward,
            "norm": norm,
            "block": block,
        }
        self.tokens = Tokens(spec.vocab_size, width, embedding_scale)
        self.source = Embeddings(dim, width, dropout, bias, epsilon, embedding_norm)
        self.encoder = encoder(**offers)
        self.target = Embeddings(dim, width, dropout, bias, epsilon, embedding_norm)
        self.decoder = decoder(**offers)
        self.lm_head = LMHead(spec.vocab_size, dim, width, tied, output_bias, output_scale)
        initialize(self, initial_std)

    def encode(self, source: Tensor, padding_mask: Tensor | None = None, positions: Tensor | None = None) -> EncoderOutput:
        """source (B, S), of which padding_mask (B, S) are tokens, as what the decoder looks back at."""
        positions = make_positions(source, padding_mask) if positions is None else positions
        x = self.source(self.tokens(source), self.encoder.position, positions)
        return EncoderOutput(self.encoder(x, positions, padding_mask), padding_mask)

    def forward(self, source: Tensor, target: Tensor, source_padding_mask: Tensor | None = None) -> Tensor:
        """source (B, S), of which source_padding_mask (B, S) are tokens, and target (B, T), padded on the right -> (B, T, D)."""
        encoder_output = self.encode(source, source_padding_mask)
        positions = make_positions(target)
        x = self.target(self.tokens(target), self.decoder.position, positions)
        return self.decoder(x, positions, encoder_output)

    def state(self, encoder_output: EncoderOutput | None = None) -> DecodingState:
        """The state of a text of which nothing is written, with what the decoder keeps of the encoder output."""
        assert encoder_output is not None, "an encoder-decoder model writes of something: state(encode(source))"
        return self.decoder.state(encoder_output)

    def decode(self, ids: Tensor, state: DecodingState, padding_mask: Tensor | None = None) -> Tensor:
        """Adds the tokens ids (B, T) to the state: their hidden states (B, T, D)."""
        positions = state.next_positions(ids, padding_mask)
        x = self.target(self.tokens(ids), self.decoder.position, positions)
        return self.decoder(x, positions, padding_mask=padding_mask, state=state)

    def logits(self, hidden: Tensor) -> Tensor:
        """hidden (B, T, D) -> scores of the tokens that come next (B, T, V)."""
        return self.lm_head(hidden, self.tokens)
