"""BERT."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

from framework.huggingface.family import ACTIVATIONS, Family, Head, Option, Parts, layer
from framework.huggingface.table import Row
from framework.registry import register

POOLER = ("model.pooler.",)


@register("family")
class BertFamily(Family):
    """Devlin et al. 2019, https://arxiv.org/abs/1810.04805"""

    type = "bert"
    base = "bert"
    bare = "BertModel"
    chosen: ClassVar[Mapping[str, str]] = {
        "": "encoder_only",
        "attention": "multi_head",
        "position": "learned",
        "feed_forward": "mlp",
        "norm": "layer",
        "block": "post_norm",
        "embedding_norm": "layer",
    }
    options: ClassVar[Sequence[Option]] = (
        Option("dim", "hidden_size"),
        Option("num_heads", "num_attention_heads"),
        Option("num_layers", "num_hidden_layers"),
        Option("feed_forward.hidden", "intermediate_size"),
        Option("feed_forward.activation", "hidden_act", "gelu", ACTIVATIONS),
        Option("max_length", "max_position_embeddings"),
        Option("segments", "type_vocab_size", 2, least=1),
        Option("epsilon", "layer_norm_eps", 1e-12),
        Option("dropout", "hidden_dropout_prob", 0.1),
        Option("attention.weights_dropout", "attention_probs_dropout_prob", 0.1),
        Option("initial_std", "initializer_range", 0.02),
    )
    constants: ClassVar[Mapping[str, Any]] = {"position_embedding_type": "absolute", "is_decoder": False, "tie_word_embeddings": True}
    rows: ClassVar[Sequence[Row]] = (
        Row("tokens.weight", "embeddings.word_embeddings.weight", copies=("/cls.predictions.decoder.weight",)),
        Row("encoder.position.table.weight", "embeddings.position_embeddings.weight"),
        Row("embeddings.segments.weight", "embeddings.token_type_embeddings.weight"),
        Row("embeddings.norm.*", "embeddings.LayerNorm.*"),
        *layer(
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
        Row("pooler.dense.*", "pooler.dense.*"),
    )
    task_heads: ClassVar[Mapping[str, Head]] = {
        "fill-mask": Head(
            "BertForMaskedLM",
            (
                Row("head.transform.*", "cls.predictions.transform.dense.*"),
                Row("head.norm.*", "cls.predictions.transform.LayerNorm.*"),
                Row("head.bias", "cls.predictions.bias", copies=("cls.predictions.decoder.bias",)),
            ),
            without=POOLER,
        ),
        "text-classification": Head("BertForSequenceClassification", (Row("head.*", "classifier.*"),), variant="pooler, linear"),
        "token-classification": Head(
            "BertForTokenClassification", (Row("head.scores.*", "classifier.*"),), variant="first piece, softmax", without=POOLER
        ),
    }
    ignored: ClassVar[Sequence[str]] = ("embeddings.position_ids",)

    def ours(self, config: Mapping[str, Any], names: Collection[str]) -> Parts:
        """Whether there is a pooler, the weights say: only the classes that need one have it."""
        parts = super().ours(config, names)
        pooler = not names or any(".pooler." in f".{name}" for name in names)
        return Parts(parts.chosen, {**parts.values, "pooler": pooler})
