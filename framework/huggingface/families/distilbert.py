"""DistilBERT."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from framework.huggingface.families.bert import BertFamily
from framework.huggingface.family import Family, Head, OptionMap, layer_weights
from framework.huggingface.weight_map import WeightMap
from framework.registry import register


@register("family", "distilbert")
class DistilbertFamily(Family):
    """Sanh et al. 2019, https://arxiv.org/abs/1910.01108"""

    model_type = "distilbert"
    base_prefix = "distilbert"
    base_architecture = "DistilBertModel"
    slots: ClassVar[Mapping[str, str]] = BertFamily.slots
    fixed: ClassVar[Mapping[str, Any]] = {"epsilon": 1e-12}
    options: ClassVar[Sequence[OptionMap]] = (
        OptionMap("dim", "dim"),
        OptionMap("num_heads", "n_heads"),
        OptionMap("num_layers", "n_layers"),
        OptionMap("feed_forward.hidden", "hidden_dim"),
        OptionMap("feed_forward.activation", "activation", "gelu", {"gelu": "gelu", "relu": "relu"}),
        OptionMap("max_length", "max_position_embeddings", 512),
        OptionMap("dropout", "dropout", 0.1),
        OptionMap("attention.weights_dropout", "attention_dropout", 0.1),
        OptionMap("initial_std", "initializer_range", 0.02),
    )
    constants: ClassVar[Mapping[str, Any]] = {"tie_word_embeddings": True}
    weights: ClassVar[Sequence[WeightMap]] = (
        WeightMap("tokens.weight", "embeddings.word_embeddings.weight", aliases=("/vocab_projector.weight",)),
        WeightMap("encoder.position.table.weight", "embeddings.position_embeddings.weight"),
        WeightMap("embeddings.norm.*", "embeddings.LayerNorm.*"),
        *layer_weights(
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
                WeightMap("head.transform.*", "vocab_transform.*"),
                WeightMap("head.norm.*", "vocab_layer_norm.*"),
                WeightMap("head.bias", "vocab_projector.bias"),
            ),
        ),
        "text-classification": Head(
            "DistilBertForSequenceClassification",
            (WeightMap("head.dense.*", "pre_classifier.*"), WeightMap("head.output.*", "classifier.*")),
            variant="first, dense relu",
        ),
        "token-classification": Head(
            "DistilBertForTokenClassification", (WeightMap("head.scores.*", "classifier.*"),), variant="first piece, softmax"
        ),
    }
