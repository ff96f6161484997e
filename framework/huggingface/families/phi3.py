"""Phi-3: Llama whose queries, keys and values are one tensor, as are the gate and the input of the feed-forward network."""

from collections.abc import Mapping
from typing import Any

from framework.errors import UserError
from framework.huggingface.families.llama import LlamaFamily
from framework.huggingface.family import Config, OptionMap, decoder_heads, with_options
from framework.huggingface.rotary import rotary_from_hf, rotary_to_hf
from framework.huggingface.weight_map import WeightMap
from framework.registry import register

_FUSED = ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj")
_ATTENTION, _NETWORK = "decoder.layers.#.attention", "decoder.layers.#.feed_forward"


@register("family", "phi3")
class Phi3Family(LlamaFamily):
    """Abdin et al. 2024, https://arxiv.org/abs/2404.14219"""

    model_type = "phi3"
    base_architecture = "Phi3Model"
    slots = {**LlamaFamily.slots, "decoder": "standard"}
    fixed = {"bias": False}
    options = with_options(
        LlamaFamily.options,
        OptionMap("dropout", "resid_pdrop", 0.0, also=("embd_pdrop",)),
        OptionMap("decoder.window", "sliding_window", None),
        OptionMap("max_length", "max_position_embeddings", 4096),
        OptionMap("epsilon", "rms_norm_eps", 1e-5),
        without=("bias", "attention.head_dim"),
    )
    weights = [
        *(weight for weight in LlamaFamily.weights if not any(name in weight.hf_name for name in _FUSED)),
        WeightMap(
            (f"{_ATTENTION}.query.*", f"{_ATTENTION}.key.*", f"{_ATTENTION}.value.*"),
            "layers.#.self_attn.qkv_proj.*",
            sizes=("num_heads", "attention.num_kv_heads", "attention.num_kv_heads"),
        ),
        WeightMap((f"{_NETWORK}.gate.*", f"{_NETWORK}.input.*"), "layers.#.mlp.gate_up_proj.*"),
    ]
    task_heads = decoder_heads("Phi3ForCausalLM", "Phi3ForSequenceClassification")

    def position_from_hf(self, config: Mapping[str, Any]) -> dict[str, Any]:
        values = rotary_from_hf(config, fraction=True)
        if scaling := values.get("position.scaling"):
            raise UserError(f"config.json has rope_type={scaling!r}, which phi3 models read as 'longrope'; supported value: default")
        return values

    def position_to_hf(self, position: Mapping[str, Any]) -> Config:
        return rotary_to_hf(position, fraction=True)
