"""Qwen 2 and 2.5: Llama with biases of queries, keys and values."""

from framework.huggingface.families.llama import LlamaFamily
from framework.huggingface.family import OptionMap, decoder_heads, with_options
from framework.registry import register


@register("family", "qwen2")
class Qwen2Family(LlamaFamily):
    """Yang et al. 2024, https://arxiv.org/abs/2407.10671; Qwen 2.5: https://arxiv.org/abs/2412.15115"""

    model_type = "qwen2"
    base_architecture = "Qwen2Model"
    fixed = {**LlamaFamily.fixed, "bias": False, "attention.input_bias": True}
    options = with_options(
        LlamaFamily.options,
        OptionMap("max_length", "max_position_embeddings", 32768),
        without=("bias",),
    )
    constants = {"use_sliding_window": False}
    task_heads = decoder_heads("Qwen2ForCausalLM", "Qwen2ForSequenceClassification")
