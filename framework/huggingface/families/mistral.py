"""Mistral: Llama with a sliding window."""

from framework.huggingface.families.llama import LlamaFamily
from framework.huggingface.family import OptionMap, decoder_heads, with_options
from framework.registry import register


@register("family", "mistral")
class MistralFamily(LlamaFamily):
    """Jiang et al. 2023, https://arxiv.org/abs/2310.06825"""

    model_type = "mistral"
    base_architecture = "MistralModel"
    slots = {**LlamaFamily.slots, "decoder": "standard"}
    fixed = {**LlamaFamily.fixed, "bias": False}
    options = with_options(
        LlamaFamily.options,
        OptionMap("decoder.window", "sliding_window", 4096),
        OptionMap("max_length", "max_position_embeddings", 131072),
        without=("bias",),
    )
    task_heads = decoder_heads("MistralForCausalLM", "MistralForSequenceClassification")
