"""ALBERT: BERT with shared layers and factorized embeddings."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

from framework.errors import UserError
from framework.huggingface.families.bert import POOLER, BertFamily
from framework.huggingface.family import ACTIVATIONS, Head, OptionMap, Parts, layer_weights
from framework.huggingface.weight_map import WeightMap
from framework.registry import register


@register("family", "albert")
class AlbertFamily(BertFamily):
    """Lan et al. 2020, https://arxiv.org/abs/1909.11942"""

    model_type = "albert"
    base_prefix = "albert"
    base_architecture = "AlbertModel"
    slots: ClassVar[Mapping[str, str]] = {**BertFamily.slots, "encoder": "shared"}
    options: ClassVar[Sequence[OptionMap]] = (
        *(option for option in BertFamily.options if not option.path.endswith(("activation", "dropout"))),
        OptionMap("embedding_dim", "embedding_size", 128),
        OptionMap("feed_forward.activation", "hidden_act", "gelu_new", ACTIVATIONS),
        OptionMap("dropout", "hidden_dropout_prob", 0.0),
        OptionMap("attention.weights_dropout", "attention_probs_dropout_prob", 0.0),
    )
    constants: ClassVar[Mapping[str, Any]] = {"num_hidden_groups": 1, "inner_group_num": 1, "tie_word_embeddings": True}
    weights: ClassVar[Sequence[WeightMap]] = (
        WeightMap("tokens.weight", "embeddings.word_embeddings.weight", aliases=("/predictions.decoder.weight",)),
        WeightMap("encoder.position.table.weight", "embeddings.position_embeddings.weight"),
        WeightMap("embeddings.segments.weight", "embeddings.token_type_embeddings.weight"),
        WeightMap("embeddings.norm.*", "embeddings.LayerNorm.*"),
        WeightMap("embeddings.projection.*", "encoder.embedding_hidden_mapping_in.*"),
        *layer_weights(
            "encoder.layers.0",
            "encoder.albert_layer_groups.0.albert_layers.0",
            {
                "attention.query.*": "attention.query.*",
                "attention.key.*": "attention.key.*",
                "attention.value.*": "attention.value.*",
                "attention.output.*": "attention.dense.*",
                "block.norms.0.*": "attention.LayerNorm.*",
                "feed_forward.input.*": "ffn.*",
                "feed_forward.output.*": "ffn_output.*",
                "block.norms.1.*": "full_layer_layer_norm.*",
            },
        ),
        WeightMap("pooler.dense.*", "pooler.*"),
    )
    task_heads: ClassVar[Mapping[str, Head]] = {
        "fill-mask": Head(
            "AlbertForMaskedLM",
            (
                WeightMap("head.transform.*", "predictions.dense.*"),
                WeightMap("head.norm.*", "predictions.LayerNorm.*"),
                WeightMap("head.bias", "predictions.bias", aliases=("predictions.decoder.bias",)),
            ),
            unused=POOLER,
        ),
        "text-classification": Head("AlbertForSequenceClassification", (WeightMap("head.*", "classifier.*"),), variant="pooler, linear"),
        "token-classification": Head(
            "AlbertForTokenClassification", (WeightMap("head.scores.*", "classifier.*"),), variant="first piece, softmax", unused=POOLER
        ),
    }
    ignored: ClassVar[Sequence[str]] = (*BertFamily.ignored, "/sop_classifier.classifier.*")

    def from_hf(self, config: Mapping[str, Any], weight_names: Collection[str]) -> Parts:
        parts = super().from_hf(config, weight_names)
        if (size := parts.values["embedding_dim"]) == parts.values["dim"]:  # a model of this size has no projection here
            raise UserError(f"config.json has embedding_size={size} and hidden_size={size}; only embedding_size < hidden_size is supported")
        return parts
