"""A decoder-only model with bounded logits."""

from typing import Any, ClassVar

from torch import Tensor

from framework import Part, register

DecoderOnlyModel: Any = Part("model/decoder_only").cls  # the class of any option may be the base of another


@register("model")
class SpecimenModel(DecoderOnlyModel):
    """Decoder-only language model with soft-capped logits. Gemma Team 2024, section 2, https://arxiv.org/abs/2408.00118

    logit_cap: bound of the logits.
    """

    rules: ClassVar[dict[str, str]] = {**DecoderOnlyModel.rules, "logit_cap > 0": "logit_cap must be positive"}

    def __init__(self, logit_cap: float = 30.0, **options: Any):
        super().__init__(**options)
        self.logit_cap = logit_cap

    def logits(self, hidden: Tensor) -> Tensor:
        """Hidden states (B, T, D) -> logits of the next token (B, T, V)."""
        return self.logit_cap * (super().logits(hidden) / self.logit_cap).tanh()
