"""XLM-RoBERTa: RoBERTa with a vocabulary of a hundred languages."""

from collections.abc import Collection

from framework.huggingface.families.bert import masked_lm_head, token_head
from framework.huggingface.families.roberta import RobertaFamily
from framework.huggingface.family import Head
from framework.registry import register


@register("family", "xlm_roberta")
class XLMRobertaFamily(RobertaFamily):
    """Conneau et al. 2020, https://arxiv.org/abs/1911.02116"""

    model_type = "xlm-roberta"
    base_architecture = "XLMRobertaModel"
    task_heads = {
        "fill-mask": masked_lm_head("XLMRobertaForMaskedLM", "lm_head", "dense", "layer_norm"),
        "text-classification": Head(
            "XLMRobertaForSequenceClassification",
            RobertaFamily.task_heads["text-classification"].weights,
            variant="first, dense tanh",
            unused=RobertaFamily.task_heads["text-classification"].unused,
        ),
        "token-classification": token_head("XLMRobertaForTokenClassification"),
    }

    def has_names(self, names: Collection[str]) -> bool:
        return False  # they are those of RoBERTa, which is the same model
