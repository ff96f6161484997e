"""DeBERTa, versions 2 and 3: BERT with disentangled attention."""

from collections.abc import Collection, Mapping
from typing import Any

from framework.config.derived_defaults import effective
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.huggingface.entries import entry
from framework.huggingface.families.bert import BertFamily, masked_lm_head, token_head
from framework.huggingface.family import Config, Family, Head, OptionMap, Parts, with_options
from framework.huggingface.weight_map import WeightMap
from framework.registry import register
from framework.utils.typed import shown

_ABSENT = {"relative_attention": False, "position_biased_input": True, "share_att_key": False, "norm_rel_ebd": "none"}
_NAMES = {f"attention.self.{name}": f"attention.self.{name}_proj" for name in ("query", "key", "value")}


def _renamed(name: str) -> str:
    for old, new in _NAMES.items():
        name = name.replace(old, new)
    return name


@register("family", "deberta_v2")
class DebertaV2Family(Family):
    """He et al. 2023, https://arxiv.org/abs/2111.09543; version 1: He et al. 2021, https://arxiv.org/abs/2006.03654"""

    model_type = "deberta-v2"
    base_prefix = "deberta"
    base_architecture = "DebertaV2Model"
    slots = {**BertFamily.slots, "position": "disentangled"}
    options = with_options(
        BertFamily.options,
        OptionMap("segments", "type_vocab_size", 0),
        OptionMap("epsilon", "layer_norm_eps", 1e-7),
        OptionMap("max_length", "max_position_embeddings", 512),
        OptionMap("position.buckets", "position_buckets"),
    )
    constants = {
        "relative_attention": True,
        "position_biased_input": False,
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
        "conv_kernel_size": 0,
        "legacy": True,
        "pooler_hidden_act": "gelu",
        "tie_word_embeddings": True,
    }
    weights = [
        *(
            WeightMap(weight.name, _renamed(weight.hf_name), aliases=weight.aliases)
            for weight in BertFamily.weights
            if "pooler" not in weight.hf_name and "position" not in weight.hf_name
        ),
        WeightMap("encoder.position.table.weight", "encoder.rel_embeddings.weight"),
        WeightMap("encoder.position.norm.*", "encoder.LayerNorm.*"),
    ]
    task_heads = {
        "fill-mask": masked_lm_head("DebertaV2ForMaskedLM", "cls.predictions", "transform.dense", "transform.LayerNorm"),
        "text-classification": Head(
            "DebertaV2ForSequenceClassification",
            (WeightMap("head.dense.*", "pooler.dense.*"), WeightMap("head.output.*", "classifier.*")),
            variant="first, dense gelu",
        ),
        "token-classification": token_head("DebertaV2ForTokenClassification"),
    }
    ignored = BertFamily.ignored

    def from_hf(self, config: Mapping[str, Any], weight_names: Collection[str]) -> Parts:
        parts = super().from_hf({**_ABSENT, **config}, weight_names)
        terms = config.get("pos_att_type")
        if {*(terms.split("|") if isinstance(terms, str) else terms if isinstance(terms, list) else [])} != {"p2c", "c2p"}:
            raise UserError(f"config.json has pos_att_type={shown(terms)}; deberta-v2 models here need p2c and c2p")
        width = parts.values["dim"] // max(1, parts.values["num_heads"])
        farthest = config.get("max_relative_positions", -1)
        distance = parts.values["max_length"] if farthest == -1 else entry(config, "max_relative_positions", int)
        return Parts(parts.slots, {**parts.values, "position.distance": distance, "attention.scale": max(1, 3 * width) ** -0.5})

    def to_hf(self, node: Mapping[str, Any], spec: DataSpec) -> Config:
        farthest = effective(node, "position.distance")
        return {**super().to_hf(node, spec), "max_relative_positions": farthest, "pos_att_type": ["p2c", "c2p"]}
