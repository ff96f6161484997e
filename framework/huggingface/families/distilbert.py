"""DistilBERT."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from framework.huggingface.families.bert import BertFamily
from framework.huggingface.family import Family, Head, Option, layer
from framework.huggingface.table import Row
from framework.registry import register


@register("family", "distilbert")
class DistilbertFamily(Family):
    """Sanh et al. 2019, https://arxiv.org/abs/1910.01108"""

    type = "distilbert"
    base = "distilbert"
    bare = "DistilBertModel"
    chosen: ClassVar[Mapping[str, str]] = BertFamily.chosen
    fixed: ClassVar[Mapping[str, Any]] = {"epsilon": 1e-12}
    options: ClassVar[Sequence[Option]] = (
        Option("dim", "dim"),
        Option("num_heads", "n_heads"),
        Option("num_layers", "n_layers"),
        Option("feed_forward.hidden", "hidden_dim"),
        Option("feed_forward.activation", "activation", "gelu", {"gelu": "gelu", "relu": "relu"}),
        Option("max_length", "max_position_embeddings", 512),
        Option("dropout", "dropout", 0.1),
        Option("attention.weights_dropout", "attention_dropout", 0.1),
        Option("initial_std", "initializer_range", 0.02),
    )
    constants: ClassVar[Mapping[str, Any]] = {"tie_word_embeddings": True}
    rows: ClassVar[Sequence[Row]] = (
        Row("tokens.weight", "embeddings.word_embeddings.weight", copies=("/vocab_projector.weight",)),
        Row("encoder.position.table.weight", "embeddings.position_embeddings.weight"),
        Row("embeddings.norm.*", "embeddings.LayerNorm.*"),
        *layer(
            "encoder.layers.#",
            "transformer.layer.#",
            {
                "attention.query.*": "attention.q_lin.*",
                "attention.key.*": "attention.k_lin.*",
                "attention.value.*": "attention.v_lin.*",
                "attention.output.*": "attention.out_lin.*",
                "block.norms.0.*": "sa_layer_norm.*",
                "feed_forward.input.*": "ffn.lin1.*",
                "feed_forward.output.*": "ffn.lin2.*",
                "block.norms.1.*": "output_layer_norm.*",
            },
        ),
    )
    task_heads: ClassVar[Mapping[str, Head]] = {
        "fill-mask": Head(
            "DistilBertForMaskedLM",
            (
                Row("head.transform.*", "vocab_transform.*"),
                Row("head.norm.*", "vocab_layer_norm.*"),
                Row("head.bias", "vocab_projector.bias"),
            ),
        ),
        "text-classification": Head(
            "DistilBertForSequenceClassification",
            (Row("head.dense.*", "pre_classifier.*"), Row("head.output.*", "classifier.*")),
            variant="first, dense relu",
        ),
        "token-classification": Head(
            "DistilBertForTokenClassification", (Row("head.scores.*", "classifier.*"),), variant="first piece, softmax"
        ),
    }
