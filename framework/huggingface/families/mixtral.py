"""Mixtral: Mistral with a mixture of experts in every layer."""

from framework.huggingface.families.llama import LlamaFamily
from framework.huggingface.families.mistral import MistralFamily
from framework.huggingface.family import OptionMap, decoder_heads, with_options
from framework.huggingface.weight_map import WeightMap
from framework.registry import register

_EXPERT = {"gate": "w1", "input": "w3", "output": "w2"}


@register("family", "mixtral")
class MixtralFamily(MistralFamily):
    """Jiang et al. 2024, https://arxiv.org/abs/2401.04088"""

    model_type = "mixtral"
    base_architecture = "MixtralModel"
    slots = {**MistralFamily.slots, "feed_forward": "mixture_of_experts", "feed_forward/expert": "gated"}
    options = with_options(
        MistralFamily.options,
        OptionMap("feed_forward.experts", "num_local_experts", 8),
        OptionMap("feed_forward.active", "num_experts_per_tok", 2),
        OptionMap("feed_forward.expert.hidden", "intermediate_size"),
        OptionMap("feed_forward.expert.activation", "hidden_act", "silu", {"silu": "silu", "gelu": "gelu", "gelu_tanh": "gelu_new"}),
        OptionMap("decoder.window", "sliding_window", None),
        OptionMap("epsilon", "rms_norm_eps", 1e-5),
        without=("feed_forward.hidden", "feed_forward.activation"),
    )
    constants = {"router_jitter_noise": 0.0}
    weights = [
        *(weight for weight in LlamaFamily.weights if ".mlp." not in weight.hf_name),
        WeightMap("decoder.layers.#.feed_forward.router.*", "layers.#.block_sparse_moe.gate.*"),
        *(
            WeightMap(f"decoder.layers.#.feed_forward.experts.#.{ours}.*", f"layers.#.block_sparse_moe.experts.#.{theirs}.*")
            for ours, theirs in _EXPERT.items()
        ),
    ]
    rope_theta = 1000000.0
    task_heads = decoder_heads("MixtralForCausalLM", "MixtralForSequenceClassification")
