"""mT5: T5 1.1 with a vocabulary of a hundred languages."""

from collections.abc import Collection, Mapping
from typing import Any

from framework.huggingface.families.t5 import T5GatedFamily
from framework.huggingface.family import Head, OptionMap, Parts, with_options
from framework.registry import register


@register("family", "mt5")
class MT5Family(T5GatedFamily):
    """Xue et al. 2021, https://arxiv.org/abs/2010.11934"""

    model_type = "mt5"
    base_architecture = "MT5Model"
    options = with_options(
        T5GatedFamily.options,
        OptionMap("feed_forward.activation", "feed_forward_proj", "gated-gelu", values={"gelu_tanh": "gated-gelu", "silu": "gated-silu"}),
    )
    task_heads = {"text2text-generation": Head("MT5ForConditionalGeneration")}

    def from_hf(self, config: Mapping[str, Any], weight_names: Collection[str]) -> Parts:
        parts = super().from_hf(config, weight_names)
        # published files have an output layer of their own, and no output is scaled; tie_word_embeddings depends on who wrote it
        tied = bool(weight_names) and "lm_head.weight" not in weight_names
        return Parts(parts.slots, {**parts.values, "tied": tied, "output_scale": 1.0})

    def matches(self, config: Mapping[str, Any]) -> bool:
        return config.get("model_type") == self.model_type
