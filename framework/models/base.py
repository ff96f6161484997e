"""Base classes of models."""

from typing import Any, ClassVar

from torch import Tensor, nn

from framework.data.spec import DataSpec
from framework.parts.embeddings import LMHead, Tokens
from framework.registry import Part, choice


class Model(nn.Module):
    """Token embeddings and stacks of layers.

    dim: features of the residual stream.
    num_heads: attention heads of a layer.
    num_layers: layers of a stack.
    dropout: dropout of embeddings, attention weights and sublayer outputs.
    bias: whether linear maps and norms have a bias.
    epsilon: epsilon of the norms.
    max_length: tokens that the model reads at once.
    embedding_dim: features of the token embeddings, projected to dim; null = dim.
    embedding_scale: whether token embeddings are multiplied by sqrt(embedding_dim).
    pad_vocab_to_multiple_of: rows of the output layer's product in training are padded to a multiple (64 has faster kernels on a GPU); no
        weights are added, and nothing else is predicted. null = not padded.
    initial_std: standard deviation of the initial weights (table in framework/parts/initialize.py).
    attention: the attention of every stack.
    position: the position encoding of every stack.
    feed_forward: the feed-forward network of every stack.
    norm: the norm of every stack.
    block: how the layers of every stack wire their sublayers.
    embedding_norm: the norm of the embeddings.
    pretrained: a run, or a folder with a published model, whose weights and tokenizer a new run starts from; null = random weights.
    init_layers: the layers of the pretrained model that become the layers of this one, for every stack ([0, 2, 4]) or by stack
        ({decoder: [0, 5]}); null = all, in order.
    freeze: parameters that are not trained, as shell patterns over their names (`[tokens.*,encoder.layers.[0-3].*]`); null = none.
    adapter: new weights that are trained in place of the model's own.

    A subclass builds its modules from `self.context`, then calls `initialize`.

    >>> model = build_model(compose(["task=classification", "model.dim=16"]))
    >>> isinstance(model, Model), model(torch.tensor([[5, 6, 7]])).shape
    (True, torch.Size([1, 3, 16]))
    """

    framework_options: ClassVar[tuple[str, ...]] = ("pretrained", "init_layers", "freeze", "adapter")
    pretrained: ClassVar[str | None] = None
    init_layers: ClassVar[list[int] | dict[str, list[int]] | None] = None
    freeze: ClassVar[str | list[str] | None] = None
    adapter: ClassVar[Any] = choice("adapter", "none")
    option_traits: ClassVar = {
        "training_only": ("pretrained", "init_layers", "freeze", "adapter", "dropout", "initial_std", "pad_vocab_to_multiple_of"),
        "optimizer_state": ("freeze",),
        "pattern": ("freeze",),
    }

    rules: ClassVar[dict[str, str]] = {
        "dim > 0 and num_heads > 0 and num_layers > 0 and max_length > 0": "dim, num_heads, num_layers and max_length must be positive",
        "dim <= 2**17 and max_length <= 2**24": "dim must be at most 2**17, and max_length at most 2**24",
        "max_length > 2": "max_length must leave room for text beside the tokens that mark its begin and end",
        "num_layers <= 4096": "num_layers must be at most 4,096",
        "0 < epsilon < 1": "epsilon must be in (0, 1)",
        "0 < initial_std < 1e3": "initial_std must be positive and below 1,000: weights that are all 0 learn nothing",
        "pretrained != ''": "pretrained must name a run or a published model; null = none",
        "0 <= dropout < 1": "dropout must be in [0, 1)",
        "init_layers is None or pretrained": "init_layers needs model.pretrained: they are layers of the pretrained model",
        "pad_vocab_to_multiple_of is None or 0 < pad_vocab_to_multiple_of <= 2**16": (
            "pad_vocab_to_multiple_of must be positive, and at most 2**16; null = no padding"
        ),
        "embedding_dim is None or 0 < embedding_dim <= 2**17": "embedding_dim must be positive, and at most 2**17",
    }
    provides: ClassVar[tuple[str, ...] | dict[str, str]] = ()

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
        initial_std: float = 0.02,
        pad_vocab_to_multiple_of: int | None = None,
        attention: Part = choice("attention", "multi_head"),
        position: Part = choice("position", "learned"),
        feed_forward: Part = choice("feed_forward", "mlp"),
        norm: Part = choice("norm", "layer"),
        block: Part = choice("block", "pre_norm"),
        embedding_norm: Part = choice("norm", "none"),
    ):
        super().__init__()
        self.spec, self.dim, self.bias, self.epsilon, self.initial_std = spec, dim, bias, epsilon, initial_std
        embedding_dim = embedding_dim or dim
        self.tokens = Tokens(spec.vocab_size, embedding_dim, embedding_scale, pad_vocab_to_multiple_of)
        self.context: dict[str, Any] = {
            "vocab_size": spec.vocab_size,
            "dim": dim,
            "num_heads": num_heads,
            "num_layers": num_layers,
            "dropout": dropout,
            "bias": bias,
            "epsilon": epsilon,
            "max_length": max_length,
            "embedding_dim": embedding_dim,
            "attention": attention,
            "position": position,
            "feed_forward": feed_forward,
            "norm": norm,
            "block": block,
            "embedding_norm": embedding_norm,
        }

    def drop_training_parts(self) -> dict[str, Any]:
        """Removes the modules that only training uses; returns the options of a model without them."""
        return {}


class LanguageModel(Model):
    """A model that gives logits of the next token.

    tied: whether the token embeddings are the weights of the LM head.
    output_bias: whether the LM head has a bias.
    output_scale: multiplier of the hidden states before the LM head (T5: 1 / sqrt(dim)).
    output_cap: logits l become output_cap * tanh(l / output_cap), which keeps them below it; null = they stay as they are.
        Gemma Team 2024 (Gemma 2), section 2, https://arxiv.org/abs/2408.00118
    z_loss: coefficient of the squared logarithm of the softmax's denominator, added to the loss of training; 0 = none.
        Chowdhery et al. 2022 (PaLM), section 5, https://arxiv.org/abs/2204.02311 (there 1e-4)
    """

    lm_head: LMHead
    rules: ClassVar[dict[str, str]] = {
        **Model.rules,
        "output_scale > 0": "output_scale must be positive",
        "output_cap is None or output_cap > 0": "output_cap must be positive; null = logits without a cap",
        "0 <= z_loss < 1e3": "z_loss must not be negative, and below 1,000",
    }
    option_traits: ClassVar = {"training_only": ("z_loss",)}

    def __init__(
        self,
        tied: bool = True,
        output_bias: bool = False,
        output_scale: float = 1.0,
        output_cap: float | None = None,
        z_loss: float = 0.0,
        **options: Any,
    ):
        super().__init__(**options)
        outputs = {"output_bias": output_bias, "output_scale": output_scale, "output_cap": output_cap, "z_loss": z_loss}
        self.context |= {"tied": tied, **outputs}

    def logits(self, hidden: Tensor) -> Tensor:
        """Hidden states (B, T, D) -> logits of the next token (B, T, V)."""
        return self.lm_head(hidden, self.tokens)
