"""RoBERTa: BERT with positions that begin behind its padding token's, and heads of its own."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from framework.errors import UserError
from framework.huggingface.families.bert import POOLER, BertFamily
from framework.huggingface.family import Config, Head, Option, Parts
from framework.huggingface.table import Row
from framework.registry import register

if TYPE_CHECKING:
    from framework.data.spec import DataSpec


@register("family", "roberta")
class RobertaFamily(BertFamily):
    """Liu et al. 2019, https://arxiv.org/abs/1907.11692"""

    type = "roberta"
    base = "roberta"
    bare = "RobertaModel"
    options: ClassVar[Sequence[Option]] = (
        *(option for option in BertFamily.options if option.ours not in ("max_length", "segments")),
        Option("segments", "type_vocab_size", 2, least=1),
    )
    task_heads: ClassVar[Mapping[str, Head]] = {
        "fill-mask": Head(
            "RobertaForMaskedLM",
            (
                Row("head.transform.*", "lm_head.dense.*"),
                Row("head.norm.*", "lm_head.layer_norm.*"),
                Row("head.bias", "lm_head.bias", copies=("lm_head.decoder.bias",)),
            ),
            without=POOLER,
        ),
        "text-classification": Head(
            "RobertaForSequenceClassification",
            (Row("head.dense.*", "classifier.dense.*"), Row("head.output.*", "classifier.out_proj.*")),
            variant="first, dense tanh",
            without=POOLER,
        ),
        "token-classification": Head(
            "RobertaForTokenClassification", (Row("head.scores.*", "classifier.*"),), variant="first piece, softmax", without=POOLER
        ),
    }
    ignored: ClassVar[Sequence[str]] = (*BertFamily.ignored, "/lm_head.decoder.weight")

    def ours(self, config: Mapping[str, Any], names: Collection[str]) -> Parts:
        """Their positions count from the padding token's id on, so the first token stands one behind it."""
        parts = super().ours(config, names)
        offset = config.get("pad_token_id", 1) + 1
        return Parts(parts.chosen, {**parts.values, "max_length": config["max_position_embeddings"] - offset, "position.offset": offset})

    def theirs(self, node: Mapping[str, Any], spec: "DataSpec") -> Config:
        offset = node["position"].get("offset", 0)
        if offset != spec.padding + 1:
            raise UserError(
                f"{self.type} counts positions from the padding token's id on ({spec.padding} in this tokenizer), so that "
                f"model.position.offset must be {spec.padding + 1}; it is {offset}"
            )
        return {**super().theirs(node, spec), "max_position_embeddings": node["max_length"] + offset}
