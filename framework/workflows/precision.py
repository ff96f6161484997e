"""The precision of a run for which nobody has chosen one (`trainer.precision=null`)."""

from collections.abc import Mapping
from typing import Any

from framework.config.validate import EFFORTS
from framework.utils.processors import multiplies_bfloat16

FLOAT32, BFLOAT16 = "32-true", "bf16-mixed"
WIDTH = 128  # the narrowest models of which bfloat16 was measured on a processor: 1.2 to 1.6 times as fast


def with_precision(config: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[str]]:
    """The config with an explicit precision, and a line for the user that says why it was chosen; none where it was typed.

    bfloat16 where it was measured to be faster: on processors that multiply it, for models of at least 128 features. Figures of an
    experiment (`effort=fixed`) are those of its own precision. What bfloat16 brings on a GPU was not measured.
    """
    trainer = config["trainer"]
    if trainer.get("precision", FLOAT32) is not None:  # a trainer of another package may have none
        return config, []
    precision, why = (FLOAT32, "") if EFFORTS[config["effort"]] is None else _choice(trainer, config["model"].get("dim") or 0)
    return {**config, "trainer": {**trainer, "precision": precision}}, [f"trainer.precision {precision}: {why}"] if why else []


def slow_precision(config: Mapping[str, Any]) -> list[str]:
    """A line for the user whose precision is slow on this processor."""
    trainer = config["trainer"]
    typed = str(trainer.get("precision"))
    if not typed.startswith("bf16") or not on_processor(trainer) or multiplies_bfloat16():
        return []
    return [f"trainer.precision {typed}: this processor does not multiply bfloat16; {FLOAT32} is several times as fast"]


def _choice(trainer: Mapping[str, Any], dim: int) -> tuple[str, str]:
    """The precision, and its reason."""
    if not on_processor(trainer):
        return FLOAT32, f"{BFLOAT16} was not measured on GPUs; it is usually faster there"
    if not multiplies_bfloat16():
        return FLOAT32, "this processor does not multiply bfloat16"
    if dim < WIDTH:
        return FLOAT32, f"{BFLOAT16} was not measured to be faster for models of less than {WIDTH} features"
    return BFLOAT16, "this processor multiplies bfloat16: 1.2 to 1.6 times as fast"


def on_processor(trainer: Mapping[str, Any]) -> bool:
    """Whether a trainer trains on processors."""
    import torch

    accelerator = trainer.get("accelerator", "auto")
    return accelerator == "cpu" or accelerator == "auto" and not torch.accelerator.is_available()
