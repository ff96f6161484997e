"""Gemma 2: norms around every sublayer, capped scores and logits, windows in every other layer."""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from framework.config.derived_defaults import effective
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.huggingface.entries import entry
from framework.huggingface.families.llama import LlamaFamily
from framework.huggingface.family import Config, OptionMap, Parts, decoder_heads, with_options
from framework.huggingface.layer_types import every_nth, layer_types, number_of_layers, window_pattern
from framework.huggingface.weight_map import WeightMap
from framework.registry import register

_NORMS = {"before.0": "input", "after.0": "post_attention", "before.1": "pre_feedforward", "after.1": "post_feedforward"}


@register("family", "gemma2")
class Gemma2Family(LlamaFamily):
    """Gemma Team 2024, https://arxiv.org/abs/2408.00118"""

    model_type = "gemma2"
    base_architecture = "Gemma2Model"
    slots = {**LlamaFamily.slots, "block": "sandwich", "decoder": "standard"}
    fixed = {**LlamaFamily.fixed, "bias": False, "embedding_scale": True, "norm.zero_centered": True}
    options = with_options(
        LlamaFamily.options,
        OptionMap("attention.head_dim", "head_dim", 256),
        OptionMap("attention.logit_cap", "attn_logit_softcapping", 50.0),
        OptionMap("output_cap", "final_logit_softcapping", 30.0),
        OptionMap("feed_forward.activation", "hidden_activation", "gelu_pytorch_tanh", {"gelu_tanh": "gelu_pytorch_tanh", "gelu": "gelu"}),
        OptionMap("tied", "tie_word_embeddings", True),
        OptionMap("max_length", "max_position_embeddings", 8192),
        without=("bias",),
    )
    constants = {"attention_bias": False}
    full_every: ClassVar[int] = 2  # layers, of which the last has full attention, where config.json has no layer_types
    weights = [
        *(weight for weight in LlamaFamily.weights if "norm" not in weight.hf_name),
        *(WeightMap(f"decoder.layers.#.block.{ours}.*", f"layers.#.{theirs}_layernorm.*") for ours, theirs in _NORMS.items()),
        WeightMap("decoder.final_norm.*", "norm.*"),
    ]
    task_heads = decoder_heads("Gemma2ForCausalLM", "Gemma2ForSequenceClassification")

    def from_hf(self, config: Mapping[str, Any], weight_names: Collection[str]) -> Parts:
        parts = super().from_hf(config, weight_names)
        if config.get("use_bidirectional_attention"):
            raise UserError(f"config.json has use_bidirectional_attention=true; {self.model_type} models here are causal")
        every = every_nth(config, "sliding_window_pattern", self.full_every)
        full = [layer % every == every - 1 for layer in range(number_of_layers(config))]
        scale = entry(config, "query_pre_attn_scalar", float, 256.0) ** -0.5
        window = entry(config, "sliding_window", int | None, 4096)
        values = {"attention.scale": scale, "decoder.window": window, "decoder.layers": window_pattern(config, full)}
        return Parts(parts.slots, {**parts.values, **values})

    def to_hf(self, node: Mapping[str, Any], spec: DataSpec) -> Config:
        types, _ = layer_types(node["decoder"], node["num_layers"], "model.decoder")
        scalar = (effective(node, "attention.scale") or 256**-0.5) ** -2  # None: of another attention, which the family has not
        return {
            **super().to_hf(node, spec),
            "query_pre_attn_scalar": round(scalar) if abs(scalar - round(scalar)) < 1e-6 * scalar else scalar,
            "sliding_window": node["decoder"]["window"],
            "layer_types": types,
        }
