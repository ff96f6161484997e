"""What all models have in common."""

from typing import Any, ClassVar, Protocol

from torch import nn

from framework.registry import choice


class DataSpec(Protocol):
    """What a model needs to know of its data; `framework.data.spec.DataSpec` has it."""

    @property
    def vocab_size(self) -> int: ...


class Model(nn.Module):
    """Embeddings and stacks.

    dim: features of a token in the stream.
    num_heads: attention heads of a layer.
    num_layers: layers of a stack.
    dropout: share dropped of embeddings, attention weights and what sublayers add.
    bias: whether linear maps and norms have one.
    epsilon: added by the norms so that nothing is divided by zero.
    max_length: tokens read at once.
    embedding_dim: features of a token in the table, projected to dim after it; null = dim.
    embedding_scale: tokens times the root of their width.
    initial_std: standard deviation of the first weights (framework/parts/initialize.py has the table).
    attention: the attention of every stack.
    position: how every stack tells tokens apart by where they stand.
    feed_forward: the feed-forward network of every stack.
    norm: the norm of every stack.
    block: how the layers of every stack wire their sublayers.
    embedding_norm: the norm on the embeddings.
    pretrained: a run, or a folder with a published model, whose weights a new run begins with, as far as they fit, and whose tokenizer it
        takes; null = drawn anew.
    init_layers: the layers of what it begins from which become the layers here, in every stack, [0, 2, 4]; {decoder: [0, 5]} thins out the
        decoder alone; null = each one its own.
    freeze: parameters that are not trained, as shell patterns over their names (`[tokens.*,encoder.layers.[0-3].*]`); null = none.
    adapter: new weights that are trained in place of the model's own.
    """

    consumed: ClassVar[tuple[str, ...]] = ("pretrained", "init_layers", "freeze", "adapter")
    pretrained: ClassVar[str | None] = None
    init_layers: ClassVar[list[int] | dict[str, list[int]] | None] = None
    freeze: ClassVar[str | list[str] | None] = None
    adapter: ClassVar[Any] = choice("adapter", "none")
    option_traits: ClassVar = {
        "training_only": ("pretrained", "init_layers", "freeze", "adapter", "dropout", "initial_std"),
        "optimizer_state": ("freeze",),
        "pattern": ("freeze",),
    }

    rules: ClassVar[dict[str, str]] = {
        "dim > 0 and num_heads > 0 and num_layers > 0 and max_length > 0": "a model has features, heads, layers and something to read",
        "0 <= dropout < 1": "a share is dropped, and not everything",
        "init_layers is None or pretrained": "init_layers are those of the run that this one begins from, and model.pretrained names none",
        "embedding_dim is None or embedding_dim > 0": "tokens have features",
    }
    provides: ClassVar[tuple[str, ...] | dict[str, str]] = ()

    spec: DataSpec
    dim: int
