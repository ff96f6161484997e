"""Marian translation models (opus-mt)."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from framework.huggingface.families.bart import BartFamily
from framework.huggingface.family import Head
from framework.huggingface.weight_map import WeightMap
from framework.registry import register


@register("family", "marian")
class MarianFamily(BartFamily):
    """Junczys-Dowmunt et al. 2018, https://arxiv.org/abs/1804.00344; opus-mt: Tiedemann and Thottingal 2020,
    https://aclanthology.org/2020.eamt-1.61

    BART with sinusoidal positions and without embedding norms; the decoder starts from the padding token.
    """

    model_type = "marian"
    base_architecture = "MarianModel"
    slots: ClassVar[Mapping[str, str]] = {**BartFamily.slots, "position": "sinusoidal", "embedding_norm": "none"}
    fixed: ClassVar[Mapping[str, Any]] = {"position.interleaved": False, "epsilon": 1e-5, "output_bias": True}
    constants: ClassVar[Mapping[str, Any]] = {
        **BartFamily.constants,
        "normalize_embedding": False,
        "static_position_embeddings": True,
        "share_encoder_decoder_embeddings": True,
    }
    weights: ClassVar[Sequence[WeightMap]] = tuple(
        weight for weight in BartFamily.weights if not weight.hf_name.endswith(("embed_positions.weight", "layernorm_embedding.*"))
    )
    task_heads: ClassVar[Mapping[str, Head]] = {"text2text-generation": Head("MarianMTModel")}
    ignored: ClassVar[Sequence[str]] = ("encoder.embed_positions.weight", "decoder.embed_positions.weight")  # sinusoids, computed
