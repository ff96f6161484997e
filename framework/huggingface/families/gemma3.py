"""Gemma 3 (text): Gemma 2 with norms of queries and keys in place of caps, windows in most layers, and a rotary base of theirs."""

from collections.abc import Mapping
from typing import Any

from framework.huggingface.families.gemma2 import Gemma2Family
from framework.huggingface.family import Config, OptionMap, decoder_heads, with_options
from framework.huggingface.layer_types import FULL, SLIDING
from framework.huggingface.rotary import two_bases_from_hf, two_bases_to_hf
from framework.huggingface.weight_map import WeightMap
from framework.registry import register

_BASES = {FULL: ("rope_theta", 1000000.0), SLIDING: ("rope_local_base_freq", 10000.0)}


@register("family", "gemma3_text")
class Gemma3Family(Gemma2Family):
    """Gemma Team 2025, https://arxiv.org/abs/2503.19786"""

    model_type = "gemma3_text"
    base_architecture = "Gemma3TextModel"
    slots = {**Gemma2Family.slots, "attention/qk_norm": "rms"}
    fixed = {**Gemma2Family.fixed, "attention.qk_norm.zero_centered": True}
    options = with_options(
        Gemma2Family.options,
        OptionMap("attention.logit_cap", "attn_logit_softcapping", None),
        OptionMap("output_cap", "final_logit_softcapping", None),
        OptionMap("max_length", "max_position_embeddings", 131072),
    )
    weights = [
        *Gemma2Family.weights,
        WeightMap("decoder.layers.#.attention.query_norm.*", "layers.#.self_attn.q_norm.*"),
        WeightMap("decoder.layers.#.attention.key_norm.*", "layers.#.self_attn.k_norm.*"),
    ]
    full_every = 6
    task_heads = decoder_heads("Gemma3ForCausalLM", "Gemma3TextForSequenceClassification")

    def position_from_hf(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return two_bases_from_hf(config, _BASES)

    def position_to_hf(self, position: Mapping[str, Any]) -> Config:
        return two_bases_to_hf(position, _BASES)
