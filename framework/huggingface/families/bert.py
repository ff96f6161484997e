"""BERT."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

from framework.huggingface.family import ACTIVATIONS, Family, Head, OptionMap, Parts, layer_weights
from framework.huggingface.weight_map import WeightMap
from framework.registry import register

POOLER = ("model.pooler.",)


@register("family")
class BertFamily(Family):
    """Devlin et al. 2019, https://arxiv.org/abs/1810.04805"""

    model_type = "bert"
    base_prefix = "bert"
    base_architecture = "BertModel"
    slots: ClassVar[Mapping[str, str]] = {
        "": "encoder_only",
        "attention": "multi_head",
        "position": "learned",
        "feed_forward": "mlp",
        "norm": "layer",
        "block": "post_norm",
        "embedding_norm": "layer",
    }
    options: ClassVar[Sequence[OptionMap]] = (
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
    )
    constants: ClassVar[Mapping[str, Any]] = {"position_embedding_type": "absolute", "is_decoder": False, "tie_word_embeddings": True}
    weights: ClassVar[Sequence[WeightMap]] = (
        WeightMap("tokens.weight", "embeddings.word_embeddings.weight", aliases=("/cls.predictions.decoder.weight",)),
        WeightMap("encoder.position.table.weight", "embeddings.position_embeddings.weight"),
        WeightMap("embeddings.segments.weight", "embeddings.token_type_embeddings.weight"),
        WeightMap("embeddings.norm.*", "embeddings.LayerNorm.*"),
        *layer_weights(
            "encoder.layers.#",
            "encoder.layer.#",
            {
                "attention.query.*": "attention.self.query.*",
                "attention.key.*": "attention.self.key.*",
                "attention.value.*": "attention.self.value.*",
                "attention.output.*": "attention.output.dense.*",
                "block.norms.0.*": "attention.output.LayerNorm.*",
                "feed_forward.input.*": "intermediate.dense.*",
                "feed_forward.output.*": "output.dense.*",
                "block.norms.1.*": "output.LayerNorm.*",
            },
        ),
        WeightMap("pooler.dense.*", "pooler.dense.*"),
    )
    task_heads: ClassVar[Mapping[str, Head]] = {
        "fill-mask": Head(
            "BertForMaskedLM",
            (
                WeightMap("head.transform.*", "cls.predictions.transform.dense.*"),
                WeightMap("head.norm.*", "cls.predictions.transform.LayerNorm.*"),
                WeightMap("head.bias", "cls.predictions.bias", aliases=("cls.predictions.decoder.bias",)),
            ),
            unused=POOLER,
        ),
        "text-classification": Head("BertForSequenceClassification", (WeightMap("head.*", "classifier.*"),), variant="pooler, linear"),
        "token-classification": Head(
            "BertForTokenClassification", (WeightMap("head.scores.*", "classifier.*"),), variant="first piece, softmax", unused=POOLER
        ),
    }
    ignored: ClassVar[Sequence[str]] = ("embeddings.position_ids",)

    def from_hf(self, config: Mapping[str, Any], weight_names: Collection[str]) -> Parts:
        parts = super().from_hf(config, weight_names)
        # config.json does not say it: only classes that use a pooler have its weights
        pooler = not weight_names or any(".pooler." in f".{name}" for name in weight_names)
        return Parts(parts.slots, {**parts.values, "pooler": pooler})
