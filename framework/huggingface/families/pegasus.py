"""Pegasus: BART with norms before the sublayers and sinusoidal positions, without norms of the embeddings."""

from framework.huggingface.families.bart import BartFamily
from framework.huggingface.families.marian import MarianFamily
from framework.huggingface.family import Head
from framework.huggingface.weight_map import WeightMap
from framework.registry import register


@register("family", "pegasus")
class PegasusFamily(MarianFamily):
    """Zhang et al. 2020, https://arxiv.org/abs/1912.08777"""

    model_type = "pegasus"
    base_architecture = "PegasusModel"
    slots = {**MarianFamily.slots, "block": "pre_norm"}
    fixed = {"position.interleaved": False, "epsilon": 1e-5}
    constants = {
        **BartFamily.constants,
        "normalize_before": True,
        "add_final_layer_norm": True,
        "normalize_embedding": False,
        "static_position_embeddings": True,
    }
    weights = [
        *MarianFamily.weights,
        WeightMap("encoder.final_norm.*", "encoder.layer_norm.*"),
        WeightMap("decoder.final_norm.*", "decoder.layer_norm.*"),
    ]
    task_heads = {"text2text-generation": Head("PegasusForConditionalGeneration")}
