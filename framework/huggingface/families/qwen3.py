"""Qwen 3: Llama with norms of queries and keys and heads of their own size."""

from framework.huggingface.families.llama import LlamaFamily
from framework.huggingface.family import OptionMap, decoder_heads, with_options
from framework.huggingface.weight_map import WeightMap
from framework.registry import register


@register("family", "qwen3")
class Qwen3Family(LlamaFamily):
    """Yang et al. 2025, https://arxiv.org/abs/2505.09388"""

    model_type = "qwen3"
    base_architecture = "Qwen3Model"
    slots = {**LlamaFamily.slots, "attention/qk_norm": "rms"}
    fixed = {**LlamaFamily.fixed, "bias": False}
    options = with_options(
        LlamaFamily.options,
        OptionMap("attention.head_dim", "head_dim", 128),
        OptionMap("max_length", "max_position_embeddings", 32768),
        without=("bias",),
    )
    constants = {"attention_bias": False, "use_sliding_window": False}
    weights = [
        *LlamaFamily.weights,
        WeightMap("decoder.layers.#.attention.query_norm.*", "layers.#.self_attn.q_norm.*"),
        WeightMap("decoder.layers.#.attention.key_norm.*", "layers.#.self_attn.k_norm.*"),
    ]
    task_heads = decoder_heads("Qwen3ForCausalLM", "Qwen3ForSequenceClassification")
