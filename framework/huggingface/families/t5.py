"""T5, and T5 1.1 with what was made of it (flan-T5, mT5's shape)."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from framework.huggingface.family import Config, Family, Head, Option, Parts, layer
from framework.huggingface.table import Row
from framework.registry import register

if TYPE_CHECKING:
    from framework.data.spec import DataSpec

_ATTENTION = {"query.*": "q.*", "key.*": "k.*", "value.*": "v.*", "output.*": "o.*"}


def _feed_forward(ours: str, theirs: str, inner: Mapping[str, str]) -> tuple[Row, ...]:
    names = {f"feed_forward.{mine}.*": f"DenseReluDense.{other}.*" for mine, other in {**inner, "output": "wo"}.items()}
    return layer(ours, theirs, names)


def _stacks(inner: Mapping[str, str]) -> tuple[Row, ...]:
    """Both stacks; inner: the maps of the feed-forward network before its output."""
    return (
        Row("tokens.weight", "shared.weight", copies=("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")),
        Row("lm_head.weight", "lm_head.weight"),
        Row("encoder.position.table.weight", "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"),
        *layer("encoder.layers.#.attention", "encoder.block.#.layer.0.SelfAttention", _ATTENTION),
        Row("encoder.layers.#.block.norms.0.*", "encoder.block.#.layer.0.layer_norm.*"),
        *_feed_forward("encoder.layers.#", "encoder.block.#.layer.1", inner),
        Row("encoder.layers.#.block.norms.1.*", "encoder.block.#.layer.1.layer_norm.*"),
        Row("encoder.final_norm.*", "encoder.final_layer_norm.*"),
        Row("decoder.position.table.weight", "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"),
        *layer("decoder.layers.#.attention", "decoder.block.#.layer.0.SelfAttention", _ATTENTION),
        Row("decoder.layers.#.block.norms.0.*", "decoder.block.#.layer.0.layer_norm.*"),
        *layer("decoder.layers.#.cross", "decoder.block.#.layer.1.EncDecAttention", _ATTENTION),
        Row("decoder.layers.#.block.norms.1.*", "decoder.block.#.layer.1.layer_norm.*"),
        *_feed_forward("decoder.layers.#", "decoder.block.#.layer.2", inner),
        Row("decoder.layers.#.block.norms.2.*", "decoder.block.#.layer.2.layer_norm.*"),
        Row("decoder.final_norm.*", "decoder.final_layer_norm.*"),
    )


@register("family", "t5")
class T5Family(Family):
    """Raffel et al. 2020, https://arxiv.org/abs/1910.10683

    Scores are not scaled, the first layer's table of distances serves all layers, nothing has a bias.
    """

    type = "t5"
    bare = "T5Model"
    chosen: ClassVar[Mapping[str, str]] = {
        "": "encoder_decoder",
        "attention": "multi_head",
        "position": "relative",
        "feed_forward": "mlp",
        "norm": "rms",
        "block": "pre_norm",
        "embedding_norm": "none",
    }
    fixed: ClassVar[Mapping[str, Any]] = {"bias": False, "attention.scale": 1.0}
    options: ClassVar[Sequence[Option]] = (
        Option("dim", "d_model"),
        Option("num_heads", "num_heads"),
        Option("num_layers", "num_layers"),
        Option("num_decoder_layers", "num_decoder_layers", None),
        Option("attention.head_dim", "d_kv"),
        Option("feed_forward.hidden", "d_ff"),
        Option("feed_forward.activation", "feed_forward_proj", "relu", {"relu": "relu", "gelu": "gelu"}),
        Option("feed_forward.inner_dropout", "dropout_rate", 0.1),
        Option("position.buckets", "relative_attention_num_buckets", 32),
        Option("position.distance", "relative_attention_max_distance", 128),
        Option("epsilon", "layer_norm_epsilon", 1e-6),
        Option("dropout", "dropout_rate", 0.1),
        Option("max_length", "n_positions", 512),  # no table ends there: it is what they were trained with
    )
    constants: ClassVar[Mapping[str, Any]] = {"is_encoder_decoder": True}
    rows: ClassVar[Sequence[Row]] = _stacks({"input": "wi"})
    task_heads: ClassVar[Mapping[str, Head]] = {"text2text-generation": Head("T5ForConditionalGeneration")}
    # A table that nothing reads: the first T5 files have one for the attention to the encoder as well.
    ignored: ClassVar[Sequence[str]] = ("decoder.block.#.layer.1.EncDecAttention.relative_attention_bias.weight",)

    def suits(self, config: Mapping[str, Any]) -> bool:
        return super().suits(config) and not config.get("feed_forward_proj", "relu").startswith("gated")

    def ours(self, config: Mapping[str, Any], names: Collection[str]) -> Parts:
        """Files of transformers 5 say in `scale_decoder_outputs` what earlier ones said in `tie_word_embeddings`; whether there is an
        output of its own, the weights say."""
        parts = super().ours(config, names)
        scaled = bool(config.get("scale_decoder_outputs", config.get("tie_word_embeddings", True)))
        own = {"tied": "lm_head.weight" not in names if names else scaled, "output_scale": config["d_model"] ** -0.5 if scaled else 1.0}
        return Parts(parts.chosen, {**parts.values, **own})

    def theirs(self, node: Mapping[str, Any], spec: "DataSpec") -> Config:
        told = {"tie_word_embeddings": node["tied"], "scale_decoder_outputs": node["output_scale"] != 1.0}
        return {**super().theirs(node, spec), **told}


@register("family", "t5_1_1")
class T5GatedFamily(T5Family):
    """Shazeer 2020, section 2, https://arxiv.org/abs/2002.05202; flan-T5: Chung et al. 2022, https://arxiv.org/abs/2210.11416

    T5 with a gate, and with an output of its own whose states are not scaled.
    """

    chosen: ClassVar[Mapping[str, str]] = {**T5Family.chosen, "feed_forward": "gated"}
    options: ClassVar[Sequence[Option]] = (
        *(option for option in T5Family.options if option.ours != "feed_forward.activation"),
        Option("feed_forward.activation", "feed_forward_proj", names={"gelu_tanh": "gated-gelu", "silu": "gated-silu"}),
    )
    rows: ClassVar[Sequence[Row]] = _stacks({"gate": "wi_0", "input": "wi_1"})

    def suits(self, config: Mapping[str, Any]) -> bool:
        return Family.suits(self, config) and config.get("feed_forward_proj", "relu").startswith("gated")
