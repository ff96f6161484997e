"""Llama, and its line of decoders: RMS norms, rotary positions, a gate, hardly a bias."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from framework.errors import UserError
from framework.huggingface.family import Config, Family, Head, Option, Parts, layer
from framework.huggingface.rotary import chosen_rotary, their_rotary
from framework.huggingface.table import Row
from framework.registry import register

if TYPE_CHECKING:
    from framework.data.spec import DataSpec


@register("family", "llama")
class LlamaFamily(Family):
    """Grattafiori et al. 2024, https://arxiv.org/abs/2407.21783; the first: Touvron et al. 2023, https://arxiv.org/abs/2302.13971"""

    type = "llama"
    base = "model"
    bare = "LlamaModel"
    chosen: ClassVar[Mapping[str, str]] = {
        "": "decoder_only",
        "attention": "multi_head",
        "position": "rotary",
        "feed_forward": "gated",
        "norm": "rms",
        "block": "pre_norm",
        "embedding_norm": "none",
    }
    fixed: ClassVar[Mapping[str, Any]] = {"dropout": 0.0}
    options: ClassVar[Sequence[Option]] = (
        Option("dim", "hidden_size"),
        Option("num_heads", "num_attention_heads"),
        Option("num_layers", "num_hidden_layers"),
        Option("attention.num_kv_heads", "num_key_value_heads", None),
        Option("attention.head_dim", "head_dim", None),
        Option("attention.weights_dropout", "attention_dropout", 0.0),
        Option("feed_forward.hidden", "intermediate_size"),
        Option("feed_forward.activation", "hidden_act", "silu", {"silu": "silu", "gelu": "gelu", "gelu_tanh": "gelu_new"}),
        Option("bias", "attention_bias", False, also=("mlp_bias",)),
        Option("max_length", "max_position_embeddings", 2048),
        Option("tied", "tie_word_embeddings", False),
        Option("epsilon", "rms_norm_eps", 1e-6),
        Option("initial_std", "initializer_range", 0.02),
    )
    rows: ClassVar[Sequence[Row]] = (
        Row("tokens.weight", "embed_tokens.weight"),
        Row("lm_head.weight", "/lm_head.weight"),
        *layer(
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
        Row("decoder.final_norm.*", "norm.*"),
    )
    task_heads: ClassVar[Mapping[str, Head]] = {
        "text-generation": Head("LlamaForCausalLM"),
        "text-classification": Head(
            "LlamaForSequenceClassification", (Row("head.weight", "score.weight"),), variant="last, linear without bias"
        ),
    }
    ignored: ClassVar[Sequence[str]] = ("layers.#.self_attn.rotary_emb.inv_freq",)  # files of 2023 have the speeds of the rotation

    def ours(self, config: Mapping[str, Any], names: Collection[str]) -> Parts:
        parts = super().ours(config, names)
        biased, inner = (config.get(key, False) for key in ("attention_bias", "mlp_bias"))
        if biased != inner:
            raise UserError(f"config.json has attention_bias={biased} and mlp_bias={inner}, and {self.type} is read with both or neither")
        position, values = chosen_rotary(config)
        return Parts({**parts.chosen, "position": position}, {**parts.values, **values})

    def theirs(self, node: Mapping[str, Any], spec: "DataSpec") -> Config:
        return {**super().theirs(node, spec), **their_rotary(node["position"])}
