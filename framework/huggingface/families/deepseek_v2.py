"""DeepSeek-V2: latent attention, and mixtures of many small experts after the first layers."""

import math
from collections.abc import Collection, Mapping
from typing import Any

from framework.config.derived_defaults import effective
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.huggingface.entries import entry
from framework.huggingface.families.llama import LlamaFamily
from framework.huggingface.family import Config, OptionMap, Parts, decoder_heads, with_options
from framework.huggingface.layer_types import number_of_layers
from framework.huggingface.rotary import yarn_scale
from framework.huggingface.weight_map import WeightMap
from framework.registry import register
from framework.registry.layers import layer_settings

_ATTENTION = {
    "query": "q_proj",
    "query_down": "q_a_proj",
    "query_norm": "q_a_layernorm",
    "query_up": "q_b_proj",
    "down": "kv_a_proj_with_mqa",
    "norm": "kv_a_layernorm",
    "up": "kv_b_proj",
    "output": "o_proj",
}
_NETWORK = {"gate": "gate_proj", "input": "up_proj", "output": "down_proj"}
_MIXTURE, _MLP = "decoder.layers.#.feed_forward", "layers.#.mlp"


@register("family", "deepseek_v2")
class DeepseekV2Family(LlamaFamily):
    """DeepSeek-AI 2024, https://arxiv.org/abs/2405.04434"""

    model_type = "deepseek_v2"
    base_architecture = "DeepseekV2Model"
    slots = {
        **LlamaFamily.slots,
        "decoder": "standard",
        "attention": "latent",
        "feed_forward": "mixture_of_experts",
        "feed_forward/expert": "gated",
    }
    fixed = {**LlamaFamily.fixed, "bias": False, "epsilon": 1e-6, "position.interleaved": True, "feed_forward.normalized": False}
    options = with_options(
        LlamaFamily.options,
        OptionMap("num_heads", "num_attention_heads", also=("num_key_value_heads",)),
        OptionMap("attention.latent_dim", "kv_lora_rank", 512),
        OptionMap("attention.query_dim", "q_lora_rank", 1536),
        OptionMap("attention.head_dim", "qk_nope_head_dim", 128, also=("v_head_dim",)),
        OptionMap("attention.rotated_dim", "qk_rope_head_dim", 64),
        OptionMap("feed_forward.experts", "n_routed_experts", 64),
        OptionMap("feed_forward.active", "num_experts_per_tok"),
        OptionMap("feed_forward.shared_experts", "n_shared_experts", 2),
        OptionMap("feed_forward.expert.hidden", "moe_intermediate_size", 1407),
        OptionMap("feed_forward.expert.activation", "hidden_act", "silu", {"silu": "silu", "gelu": "gelu", "gelu_tanh": "gelu_new"}),
        without=("bias", "epsilon", "attention.num_kv_heads", "feed_forward.hidden", "feed_forward.activation"),
    )
    constants = {  # the norms of latents have this epsilon, whatever rms_norm_eps says
        "rms_norm_eps": 1e-6,
        "attention_bias": False,
        "mlp_bias": False,
        "topk_method": "greedy",
        "scoring_func": "softmax",
        "norm_topk_prob": False,
        "routed_scaling_factor": 1.0,
        "moe_layer_freq": 1,
    }
    weights = [
        *(weight for weight in LlamaFamily.weights if ".self_attn." not in weight.hf_name),
        *(WeightMap(f"decoder.layers.#.attention.{ours}.*", f"layers.#.self_attn.{theirs}.*") for ours, theirs in _ATTENTION.items()),
        WeightMap(f"{_MIXTURE}.router.*", f"{_MLP}.gate.*"),
        *(WeightMap(f"{_MIXTURE}.experts.#.{ours}.*", f"{_MLP}.experts.#.{theirs}.*") for ours, theirs in _NETWORK.items()),
        *(
            WeightMap(
                f"{_MIXTURE}.shared.#.{ours}.weight",
                f"{_MLP}.shared_experts.{theirs}.weight",
                stack="feed_forward.shared_experts",
                axis=1 if ours == "output" else 0,
            )
            for ours, theirs in _NETWORK.items()
        ),
    ]
    task_heads = decoder_heads("DeepseekV2ForCausalLM", "DeepseekV2ForSequenceClassification")

    def from_hf(self, config: Mapping[str, Any], weight_names: Collection[str]) -> Parts:
        parts = super().from_hf(config, weight_names)
        values = parts.values
        head_dim, rotated = entry(config, "qk_nope_head_dim", int, 128), entry(config, "qk_rope_head_dim", int, 64)
        dense = min(entry(config, "first_k_dense_replace", int, 0), number_of_layers(config))
        if (of_values := entry(config, "v_head_dim", int, 128)) != head_dim:
            raise UserError(f"config.json has v_head_dim={of_values} and qk_nope_head_dim={head_dim}; both must be equal")
        hidden, activation = entry(config, "intermediate_size", int, 11008), values["feed_forward.expert.activation"]
        network = {"feed_forward": {"is": "gated", "hidden": hidden, "activation": activation}}
        values["decoder.layers"] = {"first" if dense == 1 else f"first {dense}": network} if dense else None
        values["attention.scale"] = _scale(config, head_dim + rotated)
        return parts

    def to_hf(self, node: Mapping[str, Any], spec: DataSpec) -> Config:
        networks = [
            setting.get("feed_forward", node["feed_forward"]) for setting in layer_settings(node["decoder"]["layers"], node["num_layers"])
        ]
        dense = [network for network in networks if network["part"] == "feed_forward/gated"]
        hidden = effective({**node, "here": dense[0]}, "here.hidden") if dense else effective(node, "feed_forward.expert.hidden")
        config = {**super().to_hf(node, spec), "first_k_dense_replace": len(dense), "intermediate_size": hidden}
        if (scale := effective(node, "attention.scale")) is None or node["attention"].get("scale") is None:
            return config
        width = sum(effective(node, f"attention.{name}") or 0 for name in ("head_dim", "rotated_dim"))
        return _with_scale(config, math.sqrt(scale * math.sqrt(width)))


def _rope(config: Mapping[str, Any]) -> dict[str, Any]:
    both = (entry(config, key, dict[str, Any] | None) for key in ("rope_parameters", "rope_scaling"))
    return next(filter(None, both), {})


def _scale(config: Mapping[str, Any], width: int) -> float | None:
    """The multiplier of the scores: with scaled frequencies another one than that of their width, which is None."""
    rope = _rope(config)
    share = entry(rope, "mscale_all_dim", float | None)
    if rope.get("rope_type", rope.get("type", "default")) == "default" or not share:
        return None
    return float(width**-0.5 * yarn_scale(entry(rope, "factor", float, 1.0), share) ** 2)


def _with_scale(config: Config, ratio: float) -> Config:
    """config.json with the entries that say how much more each of query and key weighs. UserError: its frequencies are not scaled."""
    factor = _rope(config).get("factor", 1.0)
    if factor <= 1:
        raise UserError("deepseek_v2 has a model.attention.scale only with a model.position.scaling, whose factor says how large")
    share = round((ratio - 1) / (0.1 * math.log(factor)), 9)
    more = {"mscale": share, "mscale_all_dim": share}
    return {key: {**value, **more} if key in ("rope_parameters", "rope_scaling") else value for key, value in config.items()}
