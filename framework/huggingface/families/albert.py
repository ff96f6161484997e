"""ALBERT: BERT with shared layers and factorized embeddings."""

from collections.abc import Collection, Mapping
from typing import Any

from framework.errors import UserError
from framework.huggingface.families.bert import BertFamily, masked_lm_head, token_head
from framework.huggingface.family import ACTIVATIONS, Head, OptionMap, Parts
from framework.huggingface.weight_map import WeightMap
from framework.registry import register


@register("family", "albert")
class AlbertFamily(BertFamily):
    """Lan et al. 2020, https://arxiv.org/abs/1909.11942"""

    model_type = "albert"
    base_prefix = "albert"
    base_architecture = "AlbertModel"
    slots = {**BertFamily.slots, "encoder": "shared"}
    options = [
        *(option for option in BertFamily.options if not option.path.endswith(("activation", "dropout"))),
        OptionMap("embedding_dim", "embedding_size", 128),
        OptionMap("feed_forward.activation", "hidden_act", "gelu_new", ACTIVATIONS),
        OptionMap("dropout", "hidden_dropout_prob", 0.0),
        OptionMap("attention.weights_dropout", "attention_probs_dropout_prob", 0.0),
    ]
    constants = {"num_hidden_groups": 1, "inner_group_num": 1, "tie_word_embeddings": True}
    weights = [
        WeightMap("tokens.weight", "embeddings.word_embeddings.weight", aliases=("/predictions.decoder.weight",)),
        WeightMap("encoder.position.table.weight", "embeddings.position_embeddings.weight"),
        WeightMap("embeddings.segments.weight", "embeddings.token_type_embeddings.weight"),
        WeightMap("embeddings.norm.*", "embeddings.LayerNorm.*"),
        WeightMap("embeddings.projection.*", "encoder.embedding_hidden_mapping_in.*"),
        WeightMap("encoder.layers.0.attention.query.*", "encoder.albert_layer_groups.0.albert_layers.0.attention.query.*"),
        WeightMap("encoder.layers.0.attention.key.*", "encoder.albert_layer_groups.0.albert_layers.0.attention.key.*"),
        WeightMap("encoder.layers.0.attention.value.*", "encoder.albert_layer_groups.0.albert_layers.0.attention.value.*"),
        WeightMap("encoder.layers.0.attention.output.*", "encoder.albert_layer_groups.0.albert_layers.0.attention.dense.*"),
        WeightMap("encoder.layers.0.block.norms.0.*", "encoder.albert_layer_groups.0.albert_layers.0.attention.LayerNorm.*"),
        WeightMap("encoder.layers.0.feed_forward.input.*", "encoder.albert_layer_groups.0.albert_layers.0.ffn.*"),
        WeightMap("encoder.layers.0.feed_forward.output.*", "encoder.albert_layer_groups.0.albert_layers.0.ffn_output.*"),
        WeightMap("encoder.layers.0.block.norms.1.*", "encoder.albert_layer_groups.0.albert_layers.0.full_layer_layer_norm.*"),
        WeightMap("pooler.dense.*", "pooler.*"),
    ]
    task_heads = {
        "fill-mask": masked_lm_head("AlbertForMaskedLM", "predictions", "dense", "LayerNorm"),
        "text-classification": Head("AlbertForSequenceClassification", (WeightMap("head.*", "classifier.*"),), variant="pooler, linear"),
        "token-classification": token_head("AlbertForTokenClassification"),
    }
    ignored = [*BertFamily.ignored, "/sop_classifier.classifier.*"]

    def from_hf(self, config: Mapping[str, Any], weight_names: Collection[str]) -> Parts:
        parts = super().from_hf(config, weight_names)
        if (size := parts.values["embedding_dim"]) == parts.values["dim"]:  # a model of this size has no projection here
            raise UserError(f"config.json has embedding_size={size} and hidden_size={size}; only embedding_size < hidden_size is supported")
        return parts
