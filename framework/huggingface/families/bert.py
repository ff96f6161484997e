"""BERT."""

from collections.abc import Collection, Mapping
from typing import Any

from framework.huggingface.family import ACTIVATIONS, POST_NORM, Family, Head, OptionMap, Parts, layer_weights
from framework.huggingface.weight_map import WeightMap
from framework.registry import register

POOLER = ("model.pooler.",)


def masked_lm_head(architecture: str, prefix: str, dense: str, norm: str) -> Head:
    """Head for masked language modeling: a dense layer, a norm, and the bias of the logits."""
    bias = WeightMap("head.bias", f"{prefix}.bias", aliases=(f"{prefix}.decoder.bias",))
    return Head(architecture, (*layer_weights("head", prefix, {"transform.*": f"{dense}.*", "norm.*": f"{norm}.*"}), bias), unused=POOLER)


def token_head(architecture: str) -> Head:
    """Head for token classification: a linear map of the hidden state of the first piece of a word."""
    return Head(architecture, (WeightMap("head.scores.*", "classifier.*"),), variant="first piece, softmax", unused=POOLER)


@register("family")
class BertFamily(Family):
    """Devlin et al. 2019, https://arxiv.org/abs/1810.04805"""

    model_type = "bert"
    base_prefix = "bert"
    base_architecture = "BertModel"
    slots = {"": "encoder_only", **POST_NORM}
    options = [
        OptionMap("dim", "hidden_size"),
        OptionMap("num_heads", "num_attention_heads"),
        OptionMap("num_layers", "num_hidden_layers"),
        OptionMap("feed_forward.hidden", "intermediate_size"),
        OptionMap("feed_forward.activation", "hidden_act", "gelu", ACTIVATIONS),
        OptionMap("max_length", "max_position_embeddings"),
        OptionMap("segments", "type_vocab_size", 2, minimum=1),
        OptionMap("epsilon", "layer_norm_eps", 1e-12),
        OptionMap("dropout", "hidden_dropout_prob", 0.1),
        OptionMap("attention.weights_dropout", "attention_probs_dropout_prob", 0.1),
        OptionMap("initial_std", "initializer_range", 0.02),
    ]
    constants = {"position_embedding_type": "absolute", "is_decoder": False, "tie_word_embeddings": True}
    weights = [
        WeightMap("tokens.weight", "embeddings.word_embeddings.weight", aliases=("/cls.predictions.decoder.weight",)),
        WeightMap("encoder.position.table.weight", "embeddings.position_embeddings.weight"),
        WeightMap("embeddings.segments.weight", "embeddings.token_type_embeddings.weight"),
        WeightMap("embeddings.norm.*", "embeddings.LayerNorm.*"),
        WeightMap("encoder.layers.#.attention.query.*", "encoder.layer.#.attention.self.query.*"),
        WeightMap("encoder.layers.#.attention.key.*", "encoder.layer.#.attention.self.key.*"),
        WeightMap("encoder.layers.#.attention.value.*", "encoder.layer.#.attention.self.value.*"),
        WeightMap("encoder.layers.#.attention.output.*", "encoder.layer.#.attention.output.dense.*"),
        WeightMap("encoder.layers.#.block.norms.0.*", "encoder.layer.#.attention.output.LayerNorm.*"),
        WeightMap("encoder.layers.#.feed_forward.input.*", "encoder.layer.#.intermediate.dense.*"),
        WeightMap("encoder.layers.#.feed_forward.output.*", "encoder.layer.#.output.dense.*"),
        WeightMap("encoder.layers.#.block.norms.1.*", "encoder.layer.#.output.LayerNorm.*"),
        WeightMap("pooler.dense.*", "pooler.dense.*"),
    ]
    task_heads = {
        "fill-mask": masked_lm_head("BertForMaskedLM", "cls.predictions", "transform.dense", "transform.LayerNorm"),
        "text-classification": Head("BertForSequenceClassification", (WeightMap("head.*", "classifier.*"),), variant="pooler, linear"),
        "token-classification": token_head("BertForTokenClassification"),
    }
    ignored = ["embeddings.position_ids"]

    def from_hf(self, config: Mapping[str, Any], weight_names: Collection[str]) -> Parts:
        parts = super().from_hf(config, weight_names)
        # config.json does not say it: only classes that use a pooler have its weights
        pooler = not weight_names or any(".pooler." in f".{name}" for name in weight_names)
        return Parts(parts.slots, {**parts.values, "pooler": pooler})
