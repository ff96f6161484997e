"""GPT-2."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from framework.huggingface.family import ACTIVATIONS, Family, Head, Option
from framework.huggingface.table import Row
from framework.registry import register


@register("family", "gpt2")
class Gpt2Family(Family):
    """Radford et al. 2019, https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf

    Its matrices lie turned, and queries, keys and values as one.
    """

    type = "gpt2"
    base = "transformer"
    bare = "GPT2Model"
    chosen: ClassVar[Mapping[str, str]] = {
        "": "decoder_only",
        "attention": "multi_head",
        "position": "learned",
        "feed_forward": "mlp",
        "norm": "layer",
        "block": "pre_norm",
        "embedding_norm": "none",
    }
    options: ClassVar[Sequence[Option]] = (
        Option("dim", "n_embd"),
        Option("num_heads", "n_head"),
        Option("num_layers", "n_layer"),
        Option("feed_forward.hidden", "n_inner", None),
        Option("feed_forward.activation", "activation_function", "gelu_new", ACTIVATIONS),
        Option("max_length", "n_positions", 1024, also=("n_ctx",)),
        Option("epsilon", "layer_norm_epsilon", 1e-5),
        Option("dropout", "resid_pdrop", 0.1, also=("embd_pdrop",)),
        Option("attention.weights_dropout", "attn_pdrop", 0.1),
        Option("initial_std", "initializer_range", 0.02),
    )
    constants: ClassVar[Mapping[str, Any]] = {
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
        "add_cross_attention": False,
        "tie_word_embeddings": True,
    }
    rows: ClassVar[Sequence[Row]] = (
        Row("tokens.weight", "wte.weight", copies=("/lm_head.weight",)),
        Row("decoder.position.table.weight", "wpe.weight"),
        Row("decoder.layers.#.block.norms.0.*", "h.#.ln_1.*"),
        Row(
            ("decoder.layers.#.attention.query.*", "decoder.layers.#.attention.key.*", "decoder.layers.#.attention.value.*"),
            "h.#.attn.c_attn.*",
            "turned",
        ),
        Row("decoder.layers.#.attention.output.*", "h.#.attn.c_proj.*", "turned"),
        Row("decoder.layers.#.block.norms.1.*", "h.#.ln_2.*"),
        Row("decoder.layers.#.feed_forward.input.*", "h.#.mlp.c_fc.*", "turned"),
        Row("decoder.layers.#.feed_forward.output.*", "h.#.mlp.c_proj.*", "turned"),
        Row("decoder.final_norm.*", "ln_f.*"),
    )
    task_heads: ClassVar[Mapping[str, Head]] = {
        "text-generation": Head("GPT2LMHeadModel"),
        "text-classification": Head(
            "GPT2ForSequenceClassification", (Row("head.weight", "score.weight"),), variant="last, linear without bias"
        ),
    }
    ignored: ClassVar[Sequence[str]] = ("h.#.attn.*", "h.#.attn.masked_bias")  # `attn.bias` is the triangle of its causal mask
