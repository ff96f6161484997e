"""ALBERT: BERT with one layer for all depths, and tokens that are narrower than the stream."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

from framework.errors import UserError
from framework.huggingface.families.bert import POOLER, BertFamily
from framework.huggingface.family import ACTIVATIONS, Head, Option, Parts, layer
from framework.huggingface.table import Row
from framework.registry import register


@register("family", "albert")
class AlbertFamily(BertFamily):
    """Lan et al. 2020, https://arxiv.org/abs/1909.11942"""

    type = "albert"
    base = "albert"
    bare = "AlbertModel"
    chosen: ClassVar[Mapping[str, str]] = {**BertFamily.chosen, "encoder": "shared"}
    options: ClassVar[Sequence[Option]] = (
        *(option for option in BertFamily.options if not option.ours.endswith(("activation", "dropout"))),
        Option("embedding_dim", "embedding_size", 128),
        Option("feed_forward.activation", "hidden_act", "gelu_new", ACTIVATIONS),
        Option("dropout", "hidden_dropout_prob", 0.0),
        Option("attention.weights_dropout", "attention_probs_dropout_prob", 0.0),
    )
    constants: ClassVar[Mapping[str, Any]] = {"num_hidden_groups": 1, "inner_group_num": 1, "tie_word_embeddings": True}
    rows: ClassVar[Sequence[Row]] = (
        Row("tokens.weight", "embeddings.word_embeddings.weight", copies=("/predictions.decoder.weight",)),
        Row("encoder.position.table.weight", "embeddings.position_embeddings.weight"),
        Row("embeddings.segments.weight", "embeddings.token_type_embeddings.weight"),
        Row("embeddings.norm.*", "embeddings.LayerNorm.*"),
        Row("embeddings.projection.*", "encoder.embedding_hidden_mapping_in.*"),
        *layer(
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
        Row("pooler.dense.*", "pooler.*"),
    )
    task_heads: ClassVar[Mapping[str, Head]] = {
        "fill-mask": Head(
            "AlbertForMaskedLM",
            (
                Row("head.transform.*", "predictions.dense.*"),
                Row("head.norm.*", "predictions.LayerNorm.*"),
                Row("head.bias", "predictions.bias", copies=("predictions.decoder.bias",)),
            ),
            without=POOLER,
        ),
        "text-classification": Head("AlbertForSequenceClassification", (Row("head.*", "classifier.*"),), variant="pooler, linear"),
        "token-classification": Head(
            "AlbertForTokenClassification", (Row("head.scores.*", "classifier.*"),), variant="first piece, softmax", without=POOLER
        ),
    }
    ignored: ClassVar[Sequence[str]] = (*BertFamily.ignored, "/sop_classifier.classifier.*")

    def ours(self, config: Mapping[str, Any], names: Collection[str]) -> Parts:
        """Their projection is there even where it has nothing to widen; ours is not."""
        parts = super().ours(config, names)
        if (width := parts.values["embedding_dim"]) == parts.values["dim"]:
            raise UserError(f"config.json has embedding_size={width} and hidden_size={width}, and ours has no projection there")
        return parts
