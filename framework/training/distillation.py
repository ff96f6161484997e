"""Knowledge distillation: the loss that a student learns with.

Shapes: M hidden states, N targets, D model width, C classes of a target.
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
from framework.tasks.capabilities import Distillable, DistillationOutputs
from framework.tasks.frozen import FrozenTask


class Distillation:
    """Base class of the kind `distillation`: computes the student's loss of a batch, in training only.

    Context arguments: teacher, a trained task, which stays frozen (`FrozenTask`): no checkpoint, optimizer or weight average holds it.

    >>> distillation = Part("distillation/standard", temperature=1.0)(teacher=load("runs/last").task)
    >>> isinstance(distillation, Distillation), distillation.teacher.training
    (True, False)
    """

    def __init__(self, teacher: Distillable):
        self.frozen = FrozenTask(lambda: teacher)

    @property
    def teacher(self) -> Distillable:
        return self.frozen.task

    def teacher_outputs(self, batch: Batch, student: Task) -> DistillationOutputs:
        """The teacher's outputs at the targets, on the student's device."""
        with self.frozen.used_by(student) as teacher:
            return teacher.distillation_outputs(batch, teacher(batch))

    def __call__(self, student: Task, batch: Batch, result: Result) -> Result:
        """The student's result with its loss replaced: summed over targets, as its weight is their number."""
        raise NotImplementedError


@register("distillation", "standard")
class StandardDistillation(Distillation):
    """Teacher probabilities and the direction of the teacher's hidden states. Hinton et al. 2015, section 2, https://arxiv.org/abs/1503.02531;
    Sanh et al. 2019 (DistilBERT), section 3, https://arxiv.org/abs/1910.01108

    The loss of a target is `soft` T² KL(teacher || student), both at temperature T, plus `hidden` (1 - cosine of the last hidden states),
    plus `hard` times the task's own loss. The defaults are DistilBERT's 5 : 1 : 2, normalized to a sum of 1.

    temperature: divides the logits before the softmax; the higher, the more the unlikely classes count.
    soft: weight of the KL divergence from the teacher's probabilities.
    hidden: weight of the cosine loss; unless it is 0, student and teacher must have the same width.
    hard: weight of the task's own loss.
    """

    rules: ClassVar[dict[str, str]] = {
        "0 < temperature < 1e6": "temperature must be positive and below 1,000,000",
        "soft >= 0 and hidden >= 0 and hard >= 0": "soft, hidden and hard must not be negative",
        "soft + hidden > 0": "soft or hidden must be positive; training without a teacher is task.teacher=null",
    }

    def __init__(self, teacher: Distillable, temperature: float = 2.0, soft: float = 0.625, hidden: float = 0.125, hard: float = 0.25):
        super().__init__(teacher)
        self.temperature, self.soft, self.hidden, self.hard = temperature, soft, hidden, hard

    def __call__(self, student: Task, batch: Batch, result: Result) -> Result:
        assert isinstance(student, Distillable)  # task.teacher is an option of Distillable
        outputs, teacher = student.distillation_outputs(batch, result), self.teacher_outputs(batch, student)
        if outputs.logits.shape != teacher.logits.shape:
            raise UserError(
                f"the teacher has {_shape(teacher)} and this task {_shape(outputs)}: both must have the same targets and classes"
            )
        loss = self.hard * result.loss
        if self.soft:
            loss = loss + self.soft * soft_loss(outputs, teacher, self.temperature)
        if self.hidden:
            loss = loss + self.hidden * hidden_loss(outputs, teacher)
        return replace(result, loss=loss)


def soft_loss(student: DistillationOutputs, teacher: DistillationOutputs, temperature: float) -> Tensor:
    """T² KL(teacher || student) at temperature T, summed over targets."""
    predicted, wanted = (_single(outputs.logits / temperature).log_softmax(dim=-1) for outputs in (student, teacher))  # (N, C)
    return temperature**2 * kl_div(predicted, wanted, reduction="sum", log_target=True)


def hidden_loss(student: DistillationOutputs, teacher: DistillationOutputs) -> Tensor:
    """1 - cosine of the hidden states, summed over targets. UserError: the widths differ."""
    if student.hidden.shape[-1] != teacher.hidden.shape[-1]:
        raise UserError(widths_differ(teacher.hidden.shape[-1], student.hidden.shape[-1]))
    distances = 1 - cosine_similarity(_single(student.hidden), _single(teacher.hidden), dim=-1)  # (M,)
    return distances.sum() * (len(student.logits) / max(1, len(student.hidden)))


def widths_differ(teacher: int, student: int) -> str:
    """The message to the user."""
    return (
        f"the teacher's hidden states have {teacher} features and this model's {student}: task.distillation.hidden=0 leaves out the cosine "
        f"loss, model.dim={teacher} makes the widths equal"
    )


def _single(values: Tensor) -> Tensor:
    """At least float32: half precision is too coarse for sums of small differences."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _shape(outputs: DistillationOutputs) -> str:
    return "{} targets of {} classes".format(*outputs.logits.shape)
