"""Marian's translators (opus-mt)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from framework.huggingface.families.bart import BartFamily, stack
from framework.huggingface.family import Head
from framework.huggingface.table import Row
from framework.registry import register

if TYPE_CHECKING:
    pass


@register("family", "marian")
class MarianFamily(BartFamily):
    """Junczys-Dowmunt et al. 2018, https://arxiv.org/abs/1804.00344; opus-mt: Tiedemann and Thottingal 2020,
    https://aclanthology.org/2020.eamt-1.61

    BART with waves for positions and no norm on the embeddings; a text begins with the padding token.
    """

    type = "marian"
    bare = "MarianModel"
    chosen: ClassVar[Mapping[str, str]] = {**BartFamily.chosen, "position": "sinusoidal", "embedding_norm": "none"}
    fixed: ClassVar[Mapping[str, Any]] = {"position.interleaved": False, "epsilon": 1e-5, "output_bias": True}
    constants: ClassVar[Mapping[str, Any]] = {
        **BartFamily.constants,
        "normalize_embedding": False,
        "static_position_embeddings": True,
        "share_encoder_decoder_embeddings": True,
    }
    rows: ClassVar[Sequence[Row]] = (
        Row(
            "tokens.weight",
            "shared.weight",
            copies=("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "/lm_head.weight"),
        ),
        *stack("encoder", {"attention": "self_attn"}),
        *stack("decoder", {"attention": "self_attn", "cross": "encoder_attn"}),
        Row("lm_head.bias", "/final_logits_bias", "row"),
    )
    task_heads: ClassVar[Mapping[str, Head]] = {"text2text-generation": Head("MarianMTModel")}
    ignored: ClassVar[Sequence[str]] = ("encoder.embed_positions.weight", "decoder.embed_positions.weight")  # the waves, computed
