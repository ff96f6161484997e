"""RoBERTa: BERT with positions that start after the id of the padding token, and other heads."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.huggingface.entries import entry
from framework.huggingface.families.bert import POOLER, BertFamily, masked_lm_head, token_head
from framework.huggingface.family import Config, Head, Parts
from framework.huggingface.weight_map import WeightMap
from framework.registry import register


@register("family", "roberta")
class RobertaFamily(BertFamily):
    """Liu et al. 2019, https://arxiv.org/abs/1907.11692"""

    model_type = "roberta"
    base_prefix = "roberta"
    base_architecture = "RobertaModel"
    options = [option for option in BertFamily.options if option.path != "max_length"]
    weights = [
        replace(weight, aliases=("/lm_head.decoder.weight",)) if weight.name == "tokens.weight" else weight for weight in BertFamily.weights
    ]
    task_heads = {
        "fill-mask": masked_lm_head("RobertaForMaskedLM", "lm_head", "dense", "layer_norm"),
        "text-classification": Head(
            "RobertaForSequenceClassification",
            (WeightMap("head.dense.*", "classifier.dense.*"), WeightMap("head.output.*", "classifier.out_proj.*")),
            variant="first, dense tanh",
            unused=POOLER,
        ),
        "token-classification": token_head("RobertaForTokenClassification"),
    }

    def from_hf(self, config: Mapping[str, Any], weight_names: Collection[str]) -> Parts:
        parts = super().from_hf(config, weight_names)
        # the first token has the position after that of the padding token
        offset = entry(config, "pad_token_id", int, 1) + 1
        if "max_position_embeddings" not in config:
            raise UserError("config.json has no max_position_embeddings, which roberta models need")
        length = entry(config, "max_position_embeddings", int) - offset
        return Parts(parts.slots, {**parts.values, "max_length": length, "position.offset": offset})

    def to_hf(self, node: Mapping[str, Any], spec: DataSpec) -> Config:
        offset = node["position"].get("offset", 0)
        if offset != spec.padding + 1:
            raise UserError(
                f"{self.model_type} needs model.position.offset={spec.padding + 1} (id of the padding token + 1); it is {offset}"
            )
        return {**super().to_hf(node, spec), "max_position_embeddings": node["max_length"] + offset}
