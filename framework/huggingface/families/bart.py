"""BART."""

from collections.abc import Mapping
from typing import Any

from framework.data.spec import DataSpec
from framework.huggingface.family import ACTIVATIONS, POST_NORM, Config, Family, Head, OptionMap, layer_weights
from framework.huggingface.weight_map import WeightMap
from framework.registry import register

_ATTENTION = {"query.*": "q_proj.*", "key.*": "k_proj.*", "value.*": "v_proj.*", "output.*": "out_proj.*"}


def stack(name: str, sublayers: Mapping[str, str]) -> tuple[WeightMap, ...]:
    """Weight maps of a stack with fairseq's names; sublayers: attention -> its published name, in order."""
    prefix = f"{name}.layers.#"
    norms = {f"block.norms.{number}.*": f"{hf}_layer_norm.*" for number, hf in enumerate((*sublayers.values(), "final"))}
    return (
        *(weight for part, hf in sublayers.items() for weight in layer_weights(f"{prefix}.{part}", f"{prefix}.{hf}", _ATTENTION)),
        *layer_weights(prefix, prefix, {"feed_forward.input.*": "fc1.*", "feed_forward.output.*": "fc2.*", **norms}),
    )


@register("family", "bart")
class BartFamily(Family):
    """Lewis et al. 2020, https://arxiv.org/abs/1910.13461

    Each stack has its own embedding norm; the first position is row 2 of the position table.
    """

    model_type = "bart"
    base_prefix = "model"
    base_architecture = "BartModel"
    slots = {"": "encoder_decoder", **POST_NORM}
    fixed = {"position.offset": 2, "epsilon": 1e-5}
    options = [
        OptionMap("dim", "d_model"),
        OptionMap("num_heads", "encoder_attention_heads", also=("decoder_attention_heads",)),
        OptionMap("num_layers", "encoder_layers"),
        OptionMap("num_decoder_layers", "decoder_layers"),
        OptionMap("feed_forward.hidden", "encoder_ffn_dim", also=("decoder_ffn_dim",)),
        OptionMap("feed_forward.activation", "activation_function", "gelu", ACTIVATIONS),
        OptionMap("feed_forward.inner_dropout", "activation_dropout", 0.0),
        OptionMap("max_length", "max_position_embeddings", 1024),
        OptionMap("embedding_scale", "scale_embedding", False),
        OptionMap("dropout", "dropout", 0.1),
        OptionMap("attention.weights_dropout", "attention_dropout", 0.0),
        OptionMap("initial_std", "init_std", 0.02),
    ]
    constants = {
        "is_encoder_decoder": True,
        "tie_word_embeddings": True,
        "normalize_before": False,
        "add_final_layer_norm": False,
        "normalize_embedding": True,
        "static_position_embeddings": False,
    }
    weights = [
        WeightMap(
            "tokens.weight",
            "shared.weight",
            aliases=("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "/lm_head.weight"),
        ),
        WeightMap("encoder.position.table.weight", "encoder.embed_positions.weight"),
        WeightMap("source.norm.*", "encoder.layernorm_embedding.*"),
        *stack("encoder", {"attention": "self_attn"}),
        WeightMap("decoder.position.table.weight", "decoder.embed_positions.weight"),
        WeightMap("target.norm.*", "decoder.layernorm_embedding.*"),
        *stack("decoder", {"attention": "self_attn", "cross": "encoder_attn"}),
        WeightMap("lm_head.bias", "/final_logits_bias", "row"),
    ]
    task_heads = {"text2text-generation": Head("BartForConditionalGeneration")}
    output_bias = "final_logits_bias"

    def to_hf(self, node: Mapping[str, Any], spec: DataSpec) -> Config:
        return {**super().to_hf(node, spec), "forced_eos_token_id": spec.end}
