"""SmolLM 3: Llama, some of whose layers see no positions."""

from collections.abc import Collection, Mapping
from typing import Any

from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.huggingface.entries import entry
from framework.huggingface.families.llama import LlamaFamily
from framework.huggingface.family import Config, OptionMap, Parts, decoder_heads, with_options
from framework.huggingface.layer_types import FULL, every_nth, number_of_layers
from framework.registry import register
from framework.registry.layers import layer_settings, shortest


@register("family", "smollm3")
class SmolLM3Family(LlamaFamily):
    """Bakouch et al. 2025, https://huggingface.co/blog/smollm3

    Every fourth layer sees no positions: Yang et al. 2025, https://arxiv.org/abs/2501.18795
    """

    model_type = "smollm3"
    base_architecture = "SmolLM3Model"
    slots = {**LlamaFamily.slots, "decoder": "standard"}
    options = with_options(
        LlamaFamily.options,
        OptionMap("tied", "tie_word_embeddings", True),
        OptionMap("max_length", "max_position_embeddings", 32768),
        without=("attention.head_dim",),
    )
    constants = {"use_sliding_window": False}
    rope_theta = 2000000.0
    task_heads = decoder_heads("SmolLM3ForCausalLM", "SmolLM3ForSequenceClassification")

    def from_hf(self, config: Mapping[str, Any], weight_names: Collection[str]) -> Parts:
        parts = super().from_hf(config, weight_names)
        num_layers, every = number_of_layers(config), every_nth(config, "no_rope_layer_interval", 4)
        regular = [int((layer + 1) % every != 0) for layer in range(num_layers)]
        rotated = (entry(config, "no_rope_layers", list[int] | None) or regular)[:num_layers]
        if len(rotated) < num_layers:
            raise UserError(f"config.json has {len(rotated)} no_rope_layers for {num_layers} layers")
        pattern = shortest([{} if sees else {"position": "none"} for sees in rotated])
        return Parts(parts.slots, {**parts.values, "decoder.layers": pattern})

    def to_hf(self, node: Mapping[str, Any], spec: DataSpec) -> Config:
        positions = [layer.get("position", node["position"]) for layer in layer_settings(node["decoder"]["layers"], node["num_layers"])]
        rotated = [int(position["part"] != "position/none") for position in positions]
        return {**super().to_hf(node, spec), "no_rope_layers": rotated, "layer_types": [FULL] * len(rotated)}
