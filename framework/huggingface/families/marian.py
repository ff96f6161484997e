"""Marian translation models (opus-mt)."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from framework.huggingface.families.bart import BartFamily, stack
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
    weights: ClassVar[Sequence[WeightMap]] = (
        WeightMap(
            "tokens.weight",
            "shared.weight",
            aliases=("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "/lm_head.weight"),
        ),
        *stack("encoder", {"attention": "self_attn"}),
        *stack("decoder", {"attention": "self_attn", "cross": "encoder_attn"}),
        WeightMap("lm_head.bias", "/final_logits_bias", "row"),
    )
    task_heads: ClassVar[Mapping[str, Head]] = {"text2text-generation": Head("MarianMTModel")}
    ignored: ClassVar[Sequence[str]] = ("encoder.embed_positions.weight", "decoder.embed_positions.weight")  # sinusoids, computed
