"""Learning from a teacher: another loss for what a task told, nothing else of it.

Shapes: M states, N targets, D model width, C answers.
"""

from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, kl_div

from framework.data.formats import Batch
from framework.errors import UserError
from framework.registry import register
from framework.tasks.base import Result, Task
from framework.tasks.outputs import DistillationOutputs


class Distillation:
    """The contract of the kind `distillation`: the result of a batch as a pupil has it, in training alone.

    An owner offers: teacher, a trained task, which only reads: in evaluation mode, without gradients. It is no module of the pupil,
    so that no checkpoint, optimizer or average ever holds it.
    """

    def __init__(self, teacher: Task):
        self.teacher = teacher.eval().requires_grad_(False)

    def to(self, device: torch.device, dtype: torch.dtype) -> None:
        """Puts the teacher beside the pupil."""
        self.teacher.to(device, dtype)

    def told(self, batch: Batch) -> DistillationOutputs:
        """What the teacher tells of the targets."""
        with torch.no_grad():
            return self.teacher.told(batch, self.teacher(batch))

    def __call__(self, task: Task, batch: Batch, result: Result) -> Result:
        """The result with the loss, summed over targets, that the pupil follows; its weight stays their number."""
        raise NotImplementedError


@register("distillation", "standard")
class StandardDistillation(Distillation):
    """The teacher's probabilities, and the direction of its states. Hinton et al. 2015, section 2, https://arxiv.org/abs/1503.02531;
    Sanh et al. 2019 (DistilBERT), section 3, https://arxiv.org/abs/1910.01108

    The loss of a target is `soft` T² KL(teacher || pupil), both softened by the temperature T, plus `hidden` (1 - the cosine of the last
    states), plus `hard` times the task's own. The defaults are DistilBERT's 5 : 1 : 2, as shares of a whole.

    temperature: what scores are divided by before their softmax; the higher, the more the unlikely answers count.
    soft: weight of the teacher's probabilities.
    hidden: weight of the cosine; the widths must be equal, if it is not 0.
    hard: weight of the task's own loss.
    """

    rules: ClassVar[dict[str, str]] = {
        "temperature > 0": "scores are divided by the temperature",
        "soft >= 0 and hidden >= 0 and hard >= 0": "a loss does not count less than nothing",
        "soft + hidden > 0": "nothing is learned from the teacher; without one there is nothing to weigh (task.teacher=null)",
    }

    def __init__(self, teacher: Task, temperature: float = 2.0, soft: float = 0.625, hidden: float = 0.125, hard: float = 0.25):
        super().__init__(teacher)
        self.temperature, self.soft, self.hidden, self.hard = temperature, soft, hidden, hard

    def __call__(self, task: Task, batch: Batch, result: Result) -> Result:
        student, teacher = task.told(batch, result), self.told(batch)
        if student.logits.shape != teacher.logits.shape:
            raise UserError(f"the teacher scores {_shape(teacher)}, and this task {_shape(student)}: they must tell the same things apart")
        loss = self.hard * result.loss
        if self.soft:
            loss = loss + self.soft * soft_loss(student, teacher, self.temperature)
        if self.hidden:
            loss = loss + self.hidden * hidden_loss(student, teacher)
        return replace(result, loss=loss)


def soft_loss(student: DistillationOutputs, teacher: DistillationOutputs, temperature: float) -> Tensor:
    """T² KL(teacher || pupil) of softened probabilities, summed over targets."""
    mine, right = (_single(told.logits / temperature).log_softmax(dim=-1) for told in (student, teacher))  # (N, C)
    return temperature**2 * kl_div(mine, right, reduction="sum", log_target=True)


def hidden_loss(student: DistillationOutputs, teacher: DistillationOutputs) -> Tensor:
    """1 - the cosine of the states, summed over targets. UserError: the widths differ."""
    if student.hidden.shape[-1] != teacher.hidden.shape[-1]:
        raise UserError(widths_differ(teacher.hidden.shape[-1], student.hidden.shape[-1]))
    apart = 1 - cosine_similarity(_single(student.hidden), _single(teacher.hidden), dim=-1)  # (M,)
    return apart.sum() * (len(student.logits) / max(1, len(student.hidden)))


def widths_differ(teacher: int, student: int) -> str:
    """Why states have no cosine, in words."""
    return (
        f"the teacher's states have {teacher} features and this model's {student}, so there is no cosine between them: "
        f"task.distillation.hidden=0 leaves it out, model.dim={teacher} makes them equal"
    )


def _single(values: Tensor) -> Tensor:
    """At least float32, which sums of small differences need."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _shape(told: DistillationOutputs) -> str:
    return "{1} answers to each of {0} targets".format(*told.logits.shape)
