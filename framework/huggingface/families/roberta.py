"""RoBERTa: BERT with positions that start after the id of the padding token, and other heads."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from framework.errors import UserError
from framework.huggingface.families.bert import POOLER, BertFamily
from framework.huggingface.family import Config, Head, OptionMap, Parts
from framework.huggingface.weight_map import WeightMap
from framework.registry import register

if TYPE_CHECKING:
    from framework.data.spec import DataSpec


@register("family", "roberta")
class RobertaFamily(BertFamily):
    """Liu et al. 2019, https://arxiv.org/abs/1907.11692"""

    model_type = "roberta"
    base_prefix = "roberta"
    base_architecture = "RobertaModel"
    options: ClassVar[Sequence[OptionMap]] = (
        *(option for option in BertFamily.options if option.path not in ("max_length", "segments")),
        OptionMap("segments", "type_vocab_size", 2, minimum=1),
    )
    task_heads: ClassVar[Mapping[str, Head]] = {
        "fill-mask": Head(
            "RobertaForMaskedLM",
            (
                WeightMap("head.transform.*", "lm_head.dense.*"),
                WeightMap("head.norm.*", "lm_head.layer_norm.*"),
                WeightMap("head.bias", "lm_head.bias", aliases=("lm_head.decoder.bias",)),
            ),
            unused=POOLER,
        ),
        "text-classification": Head(
            "RobertaForSequenceClassification",
            (WeightMap("head.dense.*", "classifier.dense.*"), WeightMap("head.output.*", "classifier.out_proj.*")),
            variant="first, dense tanh",
            unused=POOLER,
        ),
        "token-classification": Head(
            "RobertaForTokenClassification", (WeightMap("head.scores.*", "classifier.*"),), variant="first piece, softmax", unused=POOLER
        ),
    }
    ignored: ClassVar[Sequence[str]] = (*BertFamily.ignored, "/lm_head.decoder.weight")

    def from_hf(self, config: Mapping[str, Any], weight_names: Collection[str]) -> Parts:
        parts = super().from_hf(config, weight_names)
        # the first token has the position after that of the padding token
        offset = config.get("pad_token_id", 1) + 1
        return Parts(parts.slots, {**parts.values, "max_length": config["max_position_embeddings"] - offset, "position.offset": offset})

    def to_hf(self, node: Mapping[str, Any], spec: "DataSpec") -> Config:
        offset = node["position"].get("offset", 0)
        if offset != spec.padding + 1:
            raise UserError(
                f"{self.model_type} needs model.position.offset={spec.padding + 1} (id of the padding token + 1); it is {offset}"
            )
        return {**super().to_hf(node, spec), "max_position_embeddings": node["max_length"] + offset}
