"""Llama: RMS norm, rotary embeddings, gated feed-forward network, no biases."""

from collections.abc import Collection, Mapping
from typing import Any

from framework.config.derived_defaults import effective
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.huggingface.entries import entry
from framework.huggingface.family import PRE_NORM, Config, Family, OptionMap, Parts, decoder_heads
from framework.huggingface.weight_map import WeightMap
from framework.registry import register
from framework.utils.typed import shown

_LLAMA3 = {
    "position.factor": "factor",
    "position.trained_length": "original_max_position_embeddings",
    "position.slow": "low_freq_factor",
    "position.fast": "high_freq_factor",
}

_TYPED = {path: (key, int if key == "original_max_position_embeddings" else float) for path, key in _LLAMA3.items()}


@register("family", "llama")
class LlamaFamily(Family):
    """Grattafiori et al. 2024, https://arxiv.org/abs/2407.21783; Llama 1: Touvron et al. 2023, https://arxiv.org/abs/2302.13971"""

    model_type = "llama"
    base_prefix = "model"
    base_architecture = "LlamaModel"
    slots = {"": "decoder_only", **PRE_NORM, "position": "rotary", "feed_forward": "gated", "norm": "rms"}
    fixed = {"dropout": 0.0}
    options = [
        OptionMap("dim", "hidden_size"),
        OptionMap("num_heads", "num_attention_heads"),
        OptionMap("num_layers", "num_hidden_layers"),
        OptionMap("attention.num_kv_heads", "num_key_value_heads", None),
        OptionMap("attention.head_dim", "head_dim", None),
        OptionMap("attention.weights_dropout", "attention_dropout", 0.0),
        OptionMap("feed_forward.hidden", "intermediate_size"),
        OptionMap("feed_forward.activation", "hidden_act", "silu", {"silu": "silu", "gelu": "gelu", "gelu_tanh": "gelu_new"}),
        OptionMap("bias", "attention_bias", False, also=("mlp_bias",)),
        OptionMap("max_length", "max_position_embeddings", 2048),
        OptionMap("tied", "tie_word_embeddings", False),
        OptionMap("epsilon", "rms_norm_eps", 1e-6),
        OptionMap("initial_std", "initializer_range", 0.02),
    ]
    weights = [
        WeightMap("tokens.weight", "embed_tokens.weight"),
        WeightMap("lm_head.weight", "/lm_head.weight"),
        WeightMap("decoder.layers.#.block.norms.0.*", "layers.#.input_layernorm.*"),
        WeightMap("decoder.layers.#.attention.query.*", "layers.#.self_attn.q_proj.*"),
        WeightMap("decoder.layers.#.attention.key.*", "layers.#.self_attn.k_proj.*"),
        WeightMap("decoder.layers.#.attention.value.*", "layers.#.self_attn.v_proj.*"),
        WeightMap("decoder.layers.#.attention.output.*", "layers.#.self_attn.o_proj.*"),
        WeightMap("decoder.layers.#.block.norms.1.*", "layers.#.post_attention_layernorm.*"),
        WeightMap("decoder.layers.#.feed_forward.gate.*", "layers.#.mlp.gate_proj.*"),
        WeightMap("decoder.layers.#.feed_forward.input.*", "layers.#.mlp.up_proj.*"),
        WeightMap("decoder.layers.#.feed_forward.output.*", "layers.#.mlp.down_proj.*"),
        WeightMap("decoder.final_norm.*", "norm.*"),
    ]
    task_heads = decoder_heads("LlamaForCausalLM", "LlamaForSequenceClassification")
    ignored = ["layers.#.self_attn.rotary_emb.inv_freq"]  # in files of 2023

    def from_hf(self, config: Mapping[str, Any], weight_names: Collection[str]) -> Parts:
        parts = super().from_hf(config, weight_names)
        attention_bias, mlp_bias = (entry(config, key, bool, False) for key in ("attention_bias", "mlp_bias"))
        if attention_bias != mlp_bias:
            raise UserError(f"config.json has attention_bias={attention_bias} and mlp_bias={mlp_bias}; both must be equal")
        position, values = rotary_from_hf(config)
        return Parts({**parts.slots, "position": position}, {**parts.values, **values})

    def to_hf(self, node: Mapping[str, Any], spec: DataSpec) -> Config:
        return {**super().to_hf(node, spec), **rotary_to_hf(node["position"])}


def rotary_from_hf(config: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The position part and its options, by `rope_parameters` of transformers 5, or `rope_theta` and `rope_scaling` of older files.
    UserError: another kind of rotary embedding."""
    both = (entry(config, key, dict[str, Any] | None) for key in ("rope_parameters", "rope_scaling"))
    rope: dict[str, Any] = next(filter(None, both), {})
    kind = rope.get("rope_type", rope.get("type", "default"))
    base = entry(rope, "rope_theta", float, entry(config, "rope_theta", float, 10000.0))
    share = entry(rope, "partial_rotary_factor", float | None, entry(config, "partial_rotary_factor", float | None))
    if share not in (None, 1, 1.0):
        raise UserError(f"config.json has partial_rotary_factor={share}; this family needs 1.0")
    if kind == "default":
        return "rotary", {"position.base": base}
    if kind != "llama3":
        raise UserError(f"config.json has rope_type={shown(kind)}; supported values: default, llama3")
    missing = [key for key in _LLAMA3.values() if key not in rope and key != "original_max_position_embeddings"]
    if missing:
        raise UserError(f"config.json has rope_type='llama3' without {', '.join(missing)}")
    rope = {"original_max_position_embeddings": config.get("max_position_embeddings"), **rope}
    scaling = {path: entry(rope, key, type) for path, (key, type) in _TYPED.items()}
    return "rotary", {"position.base": base, "position.scaling": "llama3", **scaling}


def rotary_to_hf(position: Mapping[str, Any]) -> Config:
    """Entries of config.json for a rotary position, under the keys of transformers 5 and of older versions; empty for another position."""
    if position["part"] != "position/rotary":
        return {}
    if position["scaling"] is None:
        return {"rope_theta": position["base"], "rope_parameters": {"rope_type": "default", "rope_theta": position["base"]}}
    if position["scaling"] != "llama3":
        raise UserError(f"this family has no model.position.scaling={position['scaling']}; supported values: llama3, null")
    scaling = {"rope_type": "llama3", **{key: effective({"position": position}, path) for path, key in _LLAMA3.items()}}
    return {"rope_theta": position["base"], "rope_scaling": scaling, "rope_parameters": {**scaling, "rope_theta": position["base"]}}
