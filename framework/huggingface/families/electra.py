"""ELECTRA: BERT with embeddings of another width, without a pooler."""

from framework.huggingface.families.bert import BertFamily, token_head
from framework.huggingface.family import Family, Head, OptionMap, with_options
from framework.huggingface.weight_map import WeightMap
from framework.registry import register


@register("family", "electra")
class ElectraFamily(Family):
    """Clark et al. 2020, https://arxiv.org/abs/2003.10555

    A file is of a discriminator or of a generator; both are encoders, and the generator predicts masked tokens.
    """

    model_type = "electra"
    base_prefix = "electra"
    base_architecture = "ElectraModel"
    slots = BertFamily.slots
    options = with_options(
        BertFamily.options,
        OptionMap("embedding_dim", "embedding_size", 128),
        OptionMap("max_length", "max_position_embeddings", 512),
    )
    constants = BertFamily.constants
    weights = [
        *(weight for weight in BertFamily.weights if "pooler" not in weight.hf_name and "tokens" not in weight.name),
        WeightMap("tokens.weight", "embeddings.word_embeddings.weight", aliases=("/generator_lm_head.weight",)),
        WeightMap("embeddings.projection.*", "embeddings_project.*"),
    ]
    task_heads = {
        "fill-mask": Head(
            "ElectraForMaskedLM",
            (
                WeightMap("head.transform.*", "generator_predictions.dense.*"),
                WeightMap("head.norm.*", "generator_predictions.LayerNorm.*"),
                WeightMap("head.bias", "generator_lm_head.bias"),
            ),
        ),
        "text-classification": Head(
            "ElectraForSequenceClassification",
            (WeightMap("head.dense.*", "classifier.dense.*"), WeightMap("head.output.*", "classifier.out_proj.*")),
            variant="first, dense gelu",
        ),
        "token-classification": token_head("ElectraForTokenClassification"),
    }
    ignored = BertFamily.ignored
