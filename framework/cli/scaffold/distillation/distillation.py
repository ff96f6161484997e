"""A distillation loss."""

from dataclasses import replace
from typing import Any, ClassVar

from torch.nn.functional import kl_div

from framework import Batch, Distillation, Result, UserError, register


@register("distillation")
class SpecimenDistillation(Distillation):
    """Reverse KL divergence: the student avoids what its teacher finds unlikely. Gu et al. 2024, section 2,

    https://arxiv.org/abs/2306.08543

    hard: weight of the task's own loss.
    """

    rules: ClassVar[dict[str, str]] = {"0 <= hard < 1": "hard must be in [0, 1)"}

    def __init__(self, teacher, hard: float = 0.5):
        super().__init__(teacher)
        self.hard = hard

    def __call__(self, student: Any, batch: Batch, result: Result) -> Result:
        """The loss is summed over the targets, as the task's own: a step divides by their number."""
        own, teacher = student.distillation_outputs(batch, result).logits, self.teacher_outputs(batch, student).logits  # (N, C)
        if own.shape != teacher.shape:
            raise UserError(f"the teacher has {teacher.shape[-1]} classes and this task {own.shape[-1]}: both must have the same")
        divergence = kl_div(teacher.float().log_softmax(-1), own.float().log_softmax(-1), reduction="sum", log_target=True)
        return replace(result, loss=self.hard * result.loss + (1 - self.hard) * divergence)
