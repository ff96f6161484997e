"""OLMo 2: norms after the sublayers, and of all queries and keys of a token at once."""

from framework.huggingface.families.llama import LlamaFamily
from framework.huggingface.family import OptionMap, decoder_heads, with_options
from framework.huggingface.weight_map import WeightMap
from framework.registry import register


@register("family", "olmo2")
class Olmo2Family(LlamaFamily):
    """OLMo Team 2025, https://arxiv.org/abs/2501.00656"""

    model_type = "olmo2"
    base_architecture = "Olmo2Model"
    slots = {**LlamaFamily.slots, "block": "reordered", "attention/qk_norm": "rms"}
    fixed = {**LlamaFamily.fixed, "bias": False, "attention.qk_norm_over": "all_heads"}
    options = with_options(
        LlamaFamily.options,
        OptionMap("epsilon", "rms_norm_eps", 1e-5),
        without=("bias", "attention.head_dim"),
    )
    constants = {"attention_bias": False}
    weights = [
        *(weight for weight in LlamaFamily.weights if "layernorm" not in weight.hf_name),
        WeightMap("decoder.layers.#.block.norms.0.*", "layers.#.post_attention_layernorm.*"),
        WeightMap("decoder.layers.#.block.norms.1.*", "layers.#.post_feedforward_layernorm.*"),
        WeightMap("decoder.layers.#.attention.query_norm.*", "layers.#.self_attn.q_norm.*"),
        WeightMap("decoder.layers.#.attention.key_norm.*", "layers.#.self_attn.k_norm.*"),
    ]
    task_heads = decoder_heads("Olmo2ForCausalLM", "Olmo2ForSequenceClassification")
