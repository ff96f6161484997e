"""GPT-2."""

from framework.huggingface.family import ACTIVATIONS, PRE_NORM, Family, OptionMap, decoder_heads
from framework.huggingface.weight_map import WeightMap
from framework.registry import register


@register("family", "gpt2")
class Gpt2Family(Family):
    """Radford et al. 2019, https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf

    Matrices are transposed (Conv1D); queries, keys and values are one tensor.
    """

    model_type = "gpt2"
    base_prefix = "transformer"
    base_architecture = "GPT2Model"
    slots = {"": "decoder_only", **PRE_NORM}
    options = [
        OptionMap("dim", "n_embd"),
        OptionMap("num_heads", "n_head"),
        OptionMap("num_layers", "n_layer"),
        OptionMap("feed_forward.hidden", "n_inner", None),
        OptionMap("feed_forward.activation", "activation_function", "gelu_new", ACTIVATIONS),
        OptionMap("max_length", "n_positions", 1024, also=("n_ctx",)),
        OptionMap("epsilon", "layer_norm_epsilon", 1e-5),
        OptionMap("dropout", "resid_pdrop", 0.1, also=("embd_pdrop",)),
        OptionMap("attention.weights_dropout", "attn_pdrop", 0.1),
        OptionMap("initial_std", "initializer_range", 0.02),
    ]
    constants = {
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
        "add_cross_attention": False,
        "tie_word_embeddings": True,
    }
    weights = [
        WeightMap("tokens.weight", "wte.weight", aliases=("/lm_head.weight",)),
        WeightMap("decoder.position.table.weight", "wpe.weight"),
        WeightMap("decoder.layers.#.block.norms.0.*", "h.#.ln_1.*"),
        WeightMap(
            ("decoder.layers.#.attention.query.*", "decoder.layers.#.attention.key.*", "decoder.layers.#.attention.value.*"),
            "h.#.attn.c_attn.*",
            "transposed",
        ),
        WeightMap("decoder.layers.#.attention.output.*", "h.#.attn.c_proj.*", "transposed"),
        WeightMap("decoder.layers.#.block.norms.1.*", "h.#.ln_2.*"),
        WeightMap("decoder.layers.#.feed_forward.input.*", "h.#.mlp.c_fc.*", "transposed"),
        WeightMap("decoder.layers.#.feed_forward.output.*", "h.#.mlp.c_proj.*", "transposed"),
        WeightMap("decoder.final_norm.*", "ln_f.*"),
    ]
    task_heads = decoder_heads("GPT2LMHeadModel", "GPT2ForSequenceClassification")
    ignored = ["h.#.attn.*", "h.#.attn.masked_bias"]  # `attn.bias` is the causal mask
