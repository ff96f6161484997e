"""Llama: RMS norm, rotary embeddings, gated feed-forward network, no biases."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from framework.errors import UserError
from framework.huggingface.family import Config, Family, Head, OptionMap, Parts, layer_weights
from framework.huggingface.rotary import rotary_from_hf, rotary_to_hf
from framework.huggingface.weight_map import WeightMap
from framework.registry import register

if TYPE_CHECKING:
    from framework.data.spec import DataSpec


@register("family", "llama")
class LlamaFamily(Family):
    """Grattafiori et al. 2024, https://arxiv.org/abs/2407.21783; Llama 1: Touvron et al. 2023, https://arxiv.org/abs/2302.13971"""

    model_type = "llama"
    base_prefix = "model"
    base_architecture = "LlamaModel"
    slots: ClassVar[Mapping[str, str]] = {
        "": "decoder_only",
        "attention": "multi_head",
        "position": "rotary",
        "feed_forward": "gated",
        "norm": "rms",
        "block": "pre_norm",
        "embedding_norm": "none",
    }
    fixed: ClassVar[Mapping[str, Any]] = {"dropout": 0.0}
    options: ClassVar[Sequence[OptionMap]] = (
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
    )
    weights: ClassVar[Sequence[WeightMap]] = (
        WeightMap("tokens.weight", "embed_tokens.weight"),
        WeightMap("lm_head.weight", "/lm_head.weight"),
        *layer_weights(
            "decoder.layers.#",
            "layers.#",
            {
                "block.norms.0.*": "input_layernorm.*",
                "attention.query.*": "self_attn.q_proj.*",
                "attention.key.*": "self_attn.k_proj.*",
                "attention.value.*": "self_attn.v_proj.*",
                "attention.output.*": "self_attn.o_proj.*",
                "block.norms.1.*": "post_attention_layernorm.*",
                "feed_forward.gate.*": "mlp.gate_proj.*",
                "feed_forward.input.*": "mlp.up_proj.*",
                "feed_forward.output.*": "mlp.down_proj.*",
            },
        ),
        WeightMap("decoder.final_norm.*", "norm.*"),
    )
    task_heads: ClassVar[Mapping[str, Head]] = {
        "text-generation": Head("LlamaForCausalLM"),
        "text-classification": Head(
            "LlamaForSequenceClassification", (WeightMap("head.weight", "score.weight"),), variant="last, linear without bias"
        ),
    }
    ignored: ClassVar[Sequence[str]] = ("layers.#.self_attn.rotary_emb.inv_freq",)  # in files of 2023

    def from_hf(self, config: Mapping[str, Any], weight_names: Collection[str]) -> Parts:
        parts = super().from_hf(config, weight_names)
        attention_bias, mlp_bias = (config.get(key, False) for key in ("attention_bias", "mlp_bias"))
        if attention_bias != mlp_bias:
            raise UserError(f"config.json has attention_bias={attention_bias} and mlp_bias={mlp_bias}; both must be equal")
        position, values = rotary_from_hf(config)
        return Parts({**parts.slots, "position": position}, {**parts.values, **values})

    def to_hf(self, node: Mapping[str, Any], spec: "DataSpec") -> Config:
        return {**super().to_hf(node, spec), **rotary_to_hf(node["position"])}
