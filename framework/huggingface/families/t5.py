"""T5, and T5 1.1 with its descendants (flan-T5)."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from framework.data.spec import DataSpec
from framework.huggingface.entries import entry
from framework.huggingface.family import PRE_NORM, Config, Family, Head, OptionMap, Parts, layer_weights
from framework.huggingface.weight_map import WeightMap
from framework.registry import register

_ATTENTION = {"query.*": "q.*", "key.*": "k.*", "value.*": "v.*", "output.*": "o.*"}


def _stack(name: str, sublayers: Mapping[str, str], inner: Mapping[str, str]) -> Iterator[WeightMap]:
    """Weight maps of a stack; sublayers: attention -> its published name, in order; inner: input layers of the feed-forward network."""
    position = f"{name}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    yield WeightMap(f"{name}.position.table.weight", position)
    feed_forward = {f"{part}.*": f"{hf_name}.*" for part, hf_name in {**inner, "output": "wo"}.items()}
    for number, (part, hf_name) in enumerate({**sublayers, "feed_forward": "DenseReluDense"}.items()):
        hf_layer = f"{name}.block.#.layer.{number}"
        names = feed_forward if part == "feed_forward" else _ATTENTION
        yield from layer_weights(f"{name}.layers.#.{part}", f"{hf_layer}.{hf_name}", names)
        yield WeightMap(f"{name}.layers.#.block.norms.{number}.*", f"{hf_layer}.layer_norm.*")
    yield WeightMap(f"{name}.final_norm.*", f"{name}.final_layer_norm.*")


def _stacks(inner: Mapping[str, str]) -> tuple[WeightMap, ...]:
    """Weight maps of the whole model; inner: see `_stack`."""
    return (
        WeightMap("tokens.weight", "shared.weight", aliases=("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")),
        WeightMap("lm_head.weight", "lm_head.weight"),
        *_stack("encoder", {"attention": "SelfAttention"}, inner),
        *_stack("decoder", {"attention": "SelfAttention", "cross": "EncDecAttention"}, inner),
    )


@register("family", "t5")
class T5Family(Family):
    """Raffel et al. 2020, https://arxiv.org/abs/1910.10683

    Attention scores are not scaled, all layers share the relative position table of the first, nothing has a bias.
    """

    model_type = "t5"
    base_architecture = "T5Model"
    slots = {"": "encoder_decoder", **PRE_NORM, "position": "relative", "norm": "rms"}
    fixed = {"bias": False, "attention.scale": 1.0}
    options = [
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
    ]
    constants = {"is_encoder_decoder": True}
    weights = _stacks({"input": "wi"})
    task_heads = {"text2text-generation": Head("T5ForConditionalGeneration")}
    # The first T5 files have a position table of cross-attention, which is not used.
    ignored = ["decoder.block.#.layer.1.EncDecAttention.relative_attention_bias.weight"]

    def matches(self, config: Mapping[str, Any]) -> bool:
        gated = str(config.get("feed_forward_proj", "relu")).startswith("gated")
        return super().matches(config) and gated == (self.slots["feed_forward"] == "gated")

    def from_hf(self, config: Mapping[str, Any], weight_names: Collection[str]) -> Parts:
        parts = super().from_hf(config, weight_names)
        # `scale_decoder_outputs` is new in transformers 5; before, tied embeddings implied it. The weights show whether they are tied.
        scaled = entry(config, "scale_decoder_outputs", bool, entry(config, "tie_word_embeddings", bool, True))
        tied = "lm_head.weight" not in weight_names if weight_names else scaled
        output_scale = max(1, config["d_model"]) ** -0.5 if scaled else 1.0
        return Parts(parts.slots, {**parts.values, "tied": tied, "output_scale": output_scale})

    def to_hf(self, node: Mapping[str, Any], spec: DataSpec) -> Config:
        entries = {"tie_word_embeddings": node["tied"], "scale_decoder_outputs": node["output_scale"] != 1.0}
        return {**super().to_hf(node, spec), **entries}


@register("family", "t5_1_1")
class T5GatedFamily(T5Family):
    """Shazeer 2020, section 2, https://arxiv.org/abs/2002.05202; flan-T5: Chung et al. 2022, https://arxiv.org/abs/2210.11416

    T5 with gated feed-forward networks and an untied LM head without scaling.
    """

    slots = {**T5Family.slots, "feed_forward": "gated"}
    options = [
        *(option for option in T5Family.options if option.path != "feed_forward.activation"),
        OptionMap("feed_forward.activation", "feed_forward_proj", values={"gelu_tanh": "gated-gelu", "silu": "gated-silu"}),
    ]
    weights = _stacks({"gate": "wi_0", "input": "wi_1"})
