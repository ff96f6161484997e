"""BART."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from framework.huggingface.family import ACTIVATIONS, Config, Family, Head, Option, layer
from framework.huggingface.table import Row
from framework.registry import register

if TYPE_CHECKING:
    from framework.data.spec import DataSpec

_ATTENTION = {"query.*": "q_proj.*", "key.*": "k_proj.*", "value.*": "v_proj.*", "output.*": "out_proj.*"}


def stack(name: str, sublayers: Mapping[str, str]) -> tuple[Row, ...]:
    """A stack as fairseq names it; sublayers: our attention -> theirs, in their order."""
    ours, theirs = f"{name}.layers.#", f"{name}.layers.#"
    norms = {f"block.norms.{number}.*": f"{other}_layer_norm.*" for number, other in enumerate((*sublayers.values(), "final"))}
    return (
        *(row for mine, other in sublayers.items() for row in layer(f"{ours}.{mine}", f"{theirs}.{other}", _ATTENTION)),
        *layer(ours, theirs, {"feed_forward.input.*": "fc1.*", "feed_forward.output.*": "fc2.*", **norms}),
    )


@register("family", "bart")
class BartFamily(Family):
    """Lewis et al. 2020, https://arxiv.org/abs/1910.13461

    The norm of each stack's embeddings is one of its own; positions begin at the third row of their table.
    """

    type = "bart"
    base = "model"
    bare = "BartModel"
    chosen: ClassVar[Mapping[str, str]] = {
        "": "encoder_decoder",
        "attention": "multi_head",
        "position": "learned",
        "feed_forward": "mlp",
        "norm": "layer",
        "block": "post_norm",
        "embedding_norm": "layer",
    }
    fixed: ClassVar[Mapping[str, Any]] = {"position.offset": 2, "epsilon": 1e-5}
    options: ClassVar[Sequence[Option]] = (
        Option("dim", "d_model"),
        Option("num_heads", "encoder_attention_heads", also=("decoder_attention_heads",)),
        Option("num_layers", "encoder_layers"),
        Option("num_decoder_layers", "decoder_layers"),
        Option("feed_forward.hidden", "encoder_ffn_dim", also=("decoder_ffn_dim",)),
        Option("feed_forward.activation", "activation_function", "gelu", ACTIVATIONS),
        Option("feed_forward.inner_dropout", "activation_dropout", 0.0),
        Option("max_length", "max_position_embeddings", 1024),
        Option("embedding_scale", "scale_embedding", False),
        Option("dropout", "dropout", 0.1),
        Option("attention.weights_dropout", "attention_dropout", 0.0),
        Option("initial_std", "init_std", 0.02),
    )
    constants: ClassVar[Mapping[str, Any]] = {
        "is_encoder_decoder": True,
        "tie_word_embeddings": True,
        "normalize_before": False,
        "add_final_layer_norm": False,
        "normalize_embedding": True,
        "static_position_embeddings": False,
    }
    rows: ClassVar[Sequence[Row]] = (
        Row(
            "tokens.weight",
            "shared.weight",
            copies=("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "/lm_head.weight"),
        ),
        Row("encoder.position.table.weight", "encoder.embed_positions.weight"),
        Row("source.norm.*", "encoder.layernorm_embedding.*"),
        *stack("encoder", {"attention": "self_attn"}),
        Row("decoder.position.table.weight", "decoder.embed_positions.weight"),
        Row("target.norm.*", "decoder.layernorm_embedding.*"),
        *stack("decoder", {"attention": "self_attn", "cross": "encoder_attn"}),
        Row("lm_head.bias", "/final_logits_bias", "row"),
    )
    task_heads: ClassVar[Mapping[str, Head]] = {"text2text-generation": Head("BartForConditionalGeneration")}
    bias = "final_logits_bias"

    def theirs(self, node: Mapping[str, Any], spec: "DataSpec") -> Config:
        return {**super().theirs(node, spec), "forced_eos_token_id": spec.end}
