"""gpt-oss: mixtures of experts with limits, sinks in every softmax, windows in every other layer, biases."""

from collections.abc import Collection, Mapping
from typing import Any

from framework.data.spec import DataSpec
from framework.huggingface.entries import entry
from framework.huggingface.families.llama import LlamaFamily
from framework.huggingface.family import Config, OptionMap, Parts, decoder_heads, with_options
from framework.huggingface.layer_types import layer_types, number_of_layers, window_pattern
from framework.huggingface.weight_map import WeightMap
from framework.registry import register

_EXPERTS = "decoder.layers.#.feed_forward.experts.#"
_INNER = {"weight": "", "bias": "_bias"}  # matrices are (in, out), and gate and input take turns


@register("family", "gpt_oss")
class GptOssFamily(LlamaFamily):
    """OpenAI 2025, https://arxiv.org/abs/2508.10925"""

    model_type = "gpt_oss"
    base_architecture = "GptOssModel"
    slots = {**LlamaFamily.slots, "decoder": "standard", "feed_forward": "mixture_of_experts", "feed_forward/expert": "gated"}
    fixed = {
        **LlamaFamily.fixed,
        "bias": True,
        "attention.sinks": True,
        "feed_forward.router_bias": True,
        "feed_forward.expert.activation": "quick_gelu",
        "feed_forward.expert.shift": 1.0,
    }
    options = with_options(
        LlamaFamily.options,
        OptionMap("attention.head_dim", "head_dim", 64),
        OptionMap("feed_forward.experts", "num_local_experts", 128),
        OptionMap("feed_forward.active", "num_experts_per_tok", 4),
        OptionMap("feed_forward.expert.hidden", "intermediate_size"),
        OptionMap("feed_forward.expert.limit", "swiglu_limit", 7.0),
        OptionMap("max_length", "max_position_embeddings", 131072),
        OptionMap("epsilon", "rms_norm_eps", 1e-5),
        without=("bias", "feed_forward.hidden", "feed_forward.activation"),
    )
    constants = {"attention_bias": True, "swiglu_alpha": 1.702, "hidden_act": "silu"}
    weights = [
        *(weight for weight in LlamaFamily.weights if ".mlp." not in weight.hf_name),
        WeightMap("decoder.layers.#.attention.sinks", "layers.#.self_attn.sinks"),
        WeightMap("decoder.layers.#.feed_forward.router.*", "layers.#.mlp.router.*"),
        *(
            WeightMap(
                (f"{_EXPERTS}.gate.{own}", f"{_EXPERTS}.input.{own}"),
                f"layers.#.mlp.experts.gate_up_proj{theirs}",
                "transposed",
                alternating=True,
                stack="feed_forward.experts",
            )
            for own, theirs in _INNER.items()
        ),
        *(
            WeightMap(f"{_EXPERTS}.output.{own}", f"layers.#.mlp.experts.down_proj{theirs}", "transposed", stack="feed_forward.experts")
            for own, theirs in _INNER.items()
        ),
    ]
    rope_theta = 150000.0
    task_heads = decoder_heads("GptOssForCausalLM", "GptOssForSequenceClassification")

    def from_hf(self, config: Mapping[str, Any], weight_names: Collection[str]) -> Parts:
        parts = super().from_hf({"attention_bias": True, **config, "mlp_bias": True}, weight_names)
        pattern = window_pattern(config, [layer % 2 == 1 for layer in range(number_of_layers(config))])
        window = entry(config, "sliding_window", int | None, 128)
        return Parts(parts.slots, {**parts.values, "decoder.window": window, "decoder.layers": pattern})

    def to_hf(self, node: Mapping[str, Any], spec: DataSpec) -> Config:
        types, _ = layer_types(node["decoder"], node["num_layers"], "model.decoder")
        return {**super().to_hf(node, spec), "sliding_window": node["decoder"]["window"], "layer_types": types}
