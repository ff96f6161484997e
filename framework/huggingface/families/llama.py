"""Llama: RMS norm, rotary embeddings, gated feed-forward network, no biases."""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.huggingface.entries import entry
from framework.huggingface.family import PRE_NORM, Config, Family, OptionMap, Parts, decoder_heads
from framework.huggingface.rotary import rotary_from_hf, rotary_to_hf
from framework.huggingface.weight_map import WeightMap
from framework.registry import register


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
    rope_theta: ClassVar[float] = 10000.0  # of a config.json that has none
    ignored = ["layers.#.self_attn.rotary_emb.inv_freq"]  # in files of 2023

    def from_hf(self, config: Mapping[str, Any], weight_names: Collection[str]) -> Parts:
        parts = super().from_hf(config, weight_names)
        attention_bias, mlp_bias = (entry(config, key, bool, False) for key in ("attention_bias", "mlp_bias"))
        if attention_bias != mlp_bias:
            raise UserError(f"config.json has attention_bias={attention_bias} and mlp_bias={mlp_bias}; both must be equal")
        return Parts(parts.slots, {**parts.values, **self.position_from_hf(config)})

    def to_hf(self, node: Mapping[str, Any], spec: DataSpec) -> Config:
        return {**super().to_hf(node, spec), **self.position_to_hf(node["position"])}

    def position_from_hf(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Options of the position."""
        return rotary_from_hf(config, self.rope_theta)

    def position_to_hf(self, position: Mapping[str, Any]) -> Config:
        """Entries of config.json of the position."""
        return rotary_to_hf(position)
