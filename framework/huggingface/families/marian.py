"""Marian translation models (opus-mt)."""

from framework.huggingface.families.bart import BartFamily
from framework.huggingface.family import Head
from framework.registry import register


@register("family", "marian")
class MarianFamily(BartFamily):
    """Junczys-Dowmunt et al. 2018, https://arxiv.org/abs/1804.00344; opus-mt: Tiedemann and Thottingal 2020,
    https://aclanthology.org/2020.eamt-1.61

    BART with sinusoidal positions and without embedding norms; the decoder starts from the padding token.
    """

    model_type = "marian"
    base_architecture = "MarianModel"
    slots = {**BartFamily.slots, "position": "sinusoidal", "embedding_norm": "none"}
    fixed = {"position.interleaved": False, "epsilon": 1e-5, "output_bias": True}
    constants = {
        **BartFamily.constants,
        "normalize_embedding": False,
        "static_position_embeddings": True,
        "share_encoder_decoder_embeddings": True,
    }
    weights = [weight for weight in BartFamily.weights if not weight.hf_name.endswith(("embed_positions.weight", "layernorm_embedding.*"))]
    task_heads = {"text2text-generation": Head("MarianMTModel")}
    ignored = ["encoder.embed_positions.weight", "decoder.embed_positions.weight"]  # sinusoids, computed
