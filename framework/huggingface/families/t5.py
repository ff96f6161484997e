"""T5, and T5 1.1 with its descendants (flan-T5)."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from framework.huggingface.family import Config, Family, Head, OptionMap, Parts, layer_weights
from framework.huggingface.weight_map import WeightMap
from framework.registry import register

if TYPE_CHECKING:
    from framework.data.spec import DataSpec

_ATTENTION = {"query.*": "q.*", "key.*": "k.*", "value.*": "v.*", "output.*": "o.*"}


def _feed_forward(prefix: str, hf_prefix: str, inner: Mapping[str, str]) -> tuple[WeightMap, ...]:
    names = {f"feed_forward.{name}.*": f"DenseReluDense.{hf_name}.*" for name, hf_name in {**inner, "output": "wo"}.items()}
    return layer_weights(prefix, hf_prefix, names)


def _stacks(inner: Mapping[str, str]) -> tuple[WeightMap, ...]:
    """Weight maps of both stacks; inner: input layers of the feed-forward network."""
    return (
        WeightMap("tokens.weight", "shared.weight", aliases=("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")),
        WeightMap("lm_head.weight", "lm_head.weight"),
        WeightMap("encoder.position.table.weight", "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"),
        *layer_weights("encoder.layers.#.attention", "encoder.block.#.layer.0.SelfAttention", _ATTENTION),
        WeightMap("encoder.layers.#.block.norms.0.*", "encoder.block.#.layer.0.layer_norm.*"),
        *_feed_forward("encoder.layers.#", "encoder.block.#.layer.1", inner),
        WeightMap("encoder.layers.#.block.norms.1.*", "encoder.block.#.layer.1.layer_norm.*"),
        WeightMap("encoder.final_norm.*", "encoder.final_layer_norm.*"),
        WeightMap("decoder.position.table.weight", "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"),
        *layer_weights("decoder.layers.#.attention", "decoder.block.#.layer.0.SelfAttention", _ATTENTION),
        WeightMap("decoder.layers.#.block.norms.0.*", "decoder.block.#.layer.0.layer_norm.*"),
        *layer_weights("decoder.layers.#.cross", "decoder.block.#.layer.1.EncDecAttention", _ATTENTION),
        WeightMap("decoder.layers.#.block.norms.1.*", "decoder.block.#.layer.1.layer_norm.*"),
        *_feed_forward("decoder.layers.#", "decoder.block.#.layer.2", inner),
        WeightMap("decoder.layers.#.block.norms.2.*", "decoder.block.#.layer.2.layer_norm.*"),
        WeightMap("decoder.final_norm.*", "decoder.final_layer_norm.*"),
    )


@register("family", "t5")
class T5Family(Family):
    """Raffel et al. 2020, https://arxiv.org/abs/1910.10683

    Attention scores are not scaled, all layers share the relative position table of the first, nothing has a bias.
    """

    model_type = "t5"
    base_architecture = "T5Model"
    slots: ClassVar[Mapping[str, str]] = {
        "": "encoder_decoder",
        "attention": "multi_head",
        "position": "relative",
        "feed_forward": "mlp",
        "norm": "rms",
        "block": "pre_norm",
        "embedding_norm": "none",
    }
    fixed: ClassVar[Mapping[str, Any]] = {"bias": False, "attention.scale": 1.0}
    options: ClassVar[Sequence[OptionMap]] = (
        OptionMap("dim", "d_model"),
        OptionMap("num_heads", "num_heads"),
        OptionMap("num_layers", "num_layers"),
        OptionMap("num_decoder_layers", "num_decoder_layers", None),
        OptionMap("attention.head_dim", "d_kv"),
        OptionMap("feed_forward.hidden", "d_ff"),
        OptionMap("feed_forward.activation", "feed_forward_proj", "relu", {"relu": "relu", "gelu": "gelu"}),
        OptionMap("feed_forward.inner_dropout", "dropout_rate", 0.1),
        OptionMap("position.buckets", "relative_attention_num_buckets", 32),
        OptionMap("position.distance", "relative_attention_max_distance", 128),
        OptionMap("epsilon", "layer_norm_epsilon", 1e-6),
        OptionMap("dropout", "dropout_rate", 0.1),
        OptionMap("max_length", "n_positions", 512),  # of training; there is no position table
    )
    constants: ClassVar[Mapping[str, Any]] = {"is_encoder_decoder": True}
    weights: ClassVar[Sequence[WeightMap]] = _stacks({"input": "wi"})
    task_heads: ClassVar[Mapping[str, Head]] = {"text2text-generation": Head("T5ForConditionalGeneration")}
    # The first T5 files have a position table of cross-attention, which is not used.
    ignored: ClassVar[Sequence[str]] = ("decoder.block.#.layer.1.EncDecAttention.relative_attention_bias.weight",)

    def matches(self, config: Mapping[str, Any]) -> bool:
        return super().matches(config) and not config.get("feed_forward_proj", "relu").startswith("gated")

    def from_hf(self, config: Mapping[str, Any], weight_names: Collection[str]) -> Parts:
        parts = super().from_hf(config, weight_names)
        # `scale_decoder_outputs` is new in transformers 5; before, tied embeddings implied it. The weights show whether they are tied.
        scaled = bool(config.get("scale_decoder_outputs", config.get("tie_word_embeddings", True)))
        tied = "lm_head.weight" not in weight_names if weight_names else scaled
        output_scale = config["d_model"] ** -0.5 if scaled else 1.0
        return Parts(parts.slots, {**parts.values, "tied": tied, "output_scale": output_scale})

    def to_hf(self, node: Mapping[str, Any], spec: "DataSpec") -> Config:
        entries = {"tie_word_embeddings": node["tied"], "scale_decoder_outputs": node["output_scale"] != 1.0}
        return {**super().to_hf(node, spec), **entries}


@register("family", "t5_1_1")
class T5GatedFamily(T5Family):
    """Shazeer 2020, section 2, https://arxiv.org/abs/2002.05202; flan-T5: Chung et al. 2022, https://arxiv.org/abs/2210.11416

    T5 with gated feed-forward networks and an untied LM head without scaling.
    """

    slots: ClassVar[Mapping[str, str]] = {**T5Family.slots, "feed_forward": "gated"}
    options: ClassVar[Sequence[OptionMap]] = (
        *(option for option in T5Family.options if option.path != "feed_forward.activation"),
        OptionMap("feed_forward.activation", "feed_forward_proj", values={"gelu_tanh": "gated-gelu", "silu": "gated-silu"}),
    )
    weights: ClassVar[Sequence[WeightMap]] = _stacks({"gate": "wi_0", "input": "wi_1"})

    def matches(self, config: Mapping[str, Any]) -> bool:
        return Family.matches(self, config) and config.get("feed_forward_proj", "relu").startswith("gated")
