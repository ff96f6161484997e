"""ModernBERT."""

from collections.abc import Collection, Mapping
from typing import Any

from framework.data.spec import DataSpec
from framework.huggingface.entries import entry
from framework.huggingface.family import ACTIVATIONS, PRE_NORM, Config, Family, Head, OptionMap, Parts
from framework.huggingface.layer_types import FULL, SLIDING, every_nth, layer_types, number_of_layers, window_pattern
from framework.huggingface.rotary import two_bases_from_hf, two_bases_to_hf
from framework.huggingface.weight_map import WeightMap
from framework.registry import register

_BASES = {FULL: ("global_rope_theta", 160000.0), SLIDING: ("local_rope_theta", 10000.0)}


@register("family", "modernbert")
class ModernbertFamily(Family):
    """Warner et al. 2024, https://arxiv.org/abs/2412.13663

    Most layers have a sliding window and a rotary base of their own; the first layer has no first norm, the embeddings have one.
    """

    model_type = "modernbert"
    base_prefix = "model"
    base_architecture = "ModernBertModel"
    slots = {
        "": "encoder_only",
        **PRE_NORM,
        "position": "rotary",
        "feed_forward": "gated",
        "embedding_norm": "layer",
        "encoder": "standard",
    }
    fixed = {"bias": False, "block.first_norm": False}
    options = [
        OptionMap("dim", "hidden_size"),
        OptionMap("num_heads", "num_attention_heads"),
        OptionMap("num_layers", "num_hidden_layers"),
        OptionMap("feed_forward.hidden", "intermediate_size"),
        OptionMap("feed_forward.activation", "hidden_activation", "gelu", ACTIVATIONS),
        OptionMap("feed_forward.inner_dropout", "mlp_dropout", 0.0),
        OptionMap("max_length", "max_position_embeddings", 8192),
        OptionMap("epsilon", "norm_eps", 1e-5),
        OptionMap("dropout", "embedding_dropout", 0.0),
        OptionMap("attention.weights_dropout", "attention_dropout", 0.0),
        OptionMap("initial_std", "initializer_range", 0.02),
    ]
    constants = {
        "norm_bias": False,
        "attention_bias": False,
        "mlp_bias": False,
        "classifier_bias": False,
        "decoder_bias": True,
        "tie_word_embeddings": True,
    }
    weights = [
        WeightMap("tokens.weight", "embeddings.tok_embeddings.weight", aliases=("/decoder.weight",)),
        WeightMap("embeddings.norm.*", "embeddings.norm.*"),
        WeightMap(
            ("encoder.layers.#.attention.query.*", "encoder.layers.#.attention.key.*", "encoder.layers.#.attention.value.*"),
            "layers.#.attn.Wqkv.*",
        ),
        WeightMap(("encoder.layers.#.feed_forward.gate.*", "encoder.layers.#.feed_forward.input.*"), "layers.#.mlp.Wi.*"),
        WeightMap("encoder.layers.#.block.norms.0.*", "layers.#.attn_norm.*"),
        WeightMap("encoder.layers.#.attention.output.*", "layers.#.attn.Wo.*"),
        WeightMap("encoder.layers.#.block.norms.1.*", "layers.#.mlp_norm.*"),
        WeightMap("encoder.layers.#.feed_forward.output.*", "layers.#.mlp.Wo.*"),
        WeightMap("encoder.final_norm.*", "final_norm.*"),
    ]
    task_heads = {
        "fill-mask": Head(
            "ModernBertForMaskedLM",
            (
                WeightMap("head.transform.*", "head.dense.*"),
                WeightMap("head.norm.*", "head.norm.*"),
                WeightMap("head.bias", "decoder.bias"),
            ),
        ),
    }

    def from_hf(self, config: Mapping[str, Any], weight_names: Collection[str]) -> Parts:
        parts = super().from_hf(config, weight_names)
        return Parts(parts.slots, {**parts.values, **two_bases_from_hf(config, _BASES), **_windows(config)})

    def to_hf(self, node: Mapping[str, Any], spec: DataSpec) -> Config:
        types, size = layer_types(node["encoder"], node["num_layers"], "model.encoder")
        return {
            **super().to_hf(node, spec),
            "local_attention": 2 * ((size or 65) - 1),
            "layer_types": types,
            **two_bases_to_hf(node["position"], _BASES),
        }


def _windows(config: Mapping[str, Any]) -> dict[str, Any]:
    """Window options; `local_attention` counts tokens on both sides, `window` is 1 more than the largest distance of a visible token."""
    num_layers, every = number_of_layers(config), every_nth(config, "global_attn_every_n_layers", 3)
    window = entry(config, "local_attention", int, 128) // 2 + 1
    return {"encoder.window": window, "encoder.layers": window_pattern(config, [layer % every == 0 for layer in range(num_layers)])}
