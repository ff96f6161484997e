"""Contract tests of distillation losses, with a student and a teacher that are tables of hidden states and logits."""

from typing import Any

import torch
from torch import nn
from torch.nn.functional import cosine_similarity

from framework.errors import UserError
from framework.tasks.base import Result
from framework.tasks.capabilities import Distillable, DistillationOutputs
from framework.testing.contract import KindPromises, require
from framework.testing.promise import BrokenPromise
from framework.training.distillation import Distillation

TARGETS, CLASSES, WIDTH = 6, 5, 4
TOLERANCE = 1e-6


class TableTask(Distillable):
    """A task whose outputs at the targets are parameters. A batch is the numbers of its targets."""

    def __init__(self, seed: int, classes: int = CLASSES, dtype: torch.dtype = torch.float64):
        nn.Module.__init__(self)
        self.modes: set[tuple[bool, bool]] = set()  # of its forward passes: whether in training mode, and with gradients
        generator = torch.Generator().manual_seed(seed)
        self.hidden = nn.Parameter(torch.randn(TARGETS, WIDTH, generator=generator, dtype=torch.float64).to(dtype))
        self.logits = nn.Parameter(torch.randn(TARGETS, classes, generator=generator, dtype=torch.float64).to(dtype))

    def forward(self, batch: dict[str, Any]) -> Result:
        """No loss of its own, so that the loss of the distillation alone is compared."""
        self.modes.add((self.training, torch.is_grad_enabled()))
        targets = batch["targets"]
        return Result(
            (self.hidden[targets] * 0).sum(), torch.tensor(len(targets)), DistillationOutputs(self.hidden[targets], self.logits[targets])
        )

    def distillation_outputs(self, batch: dict[str, Any], result: Result) -> DistillationOutputs:
        return result.output


class DistillationPromises(KindPromises):
    """Contract tests of a distillation loss. It gets `teacher`, a trained task."""

    def distillation(self, teacher: TableTask) -> Distillation:
        return self.with_values()(teacher=teacher)

    def result(self, student: TableTask, teacher: TableTask, targets: range = range(TARGETS)) -> Result:
        batch = {"targets": list(targets)}
        return self.distillation(teacher)(student, batch, student(batch))

    def test_is_a_sum_over_targets(self) -> None:
        """The loss of a batch is the sum of those of its parts; the weight and the output are the task's. A batch may have no target."""
        student, teacher = TableTask(1), TableTask(0)
        whole, *parts = (self.result(student, teacher, part) for part in (range(TARGETS), range(2), range(2, TARGETS)))
        summed = sum(part.loss.item() for part in parts)
        require(whole.loss.shape == (), f"is a sum over targets: the loss has the shape {list(whole.loss.shape)}")
        require(
            abs(whole.loss.item() - summed) < TOLERANCE * max(1.0, abs(summed)),
            f"is a sum over targets: the loss of a batch is {whole.loss.item():.6g}, the sum over its parts {summed:.6g}",
        )
        require(int(whole.weight) == TARGETS, f"is a sum over targets: the weight is {whole.weight}, with {TARGETS} targets")
        require(isinstance(whole.output, DistillationOutputs), "is a sum over targets: the output is not that of the task")
        empty = self.result(student, teacher, range(0)).loss.item()
        require(empty == 0, f"is a sum over targets: the loss of a batch without targets is {empty}")

    def test_teacher_has_no_gradient(self) -> None:
        """The teacher is in evaluation mode, without gradients, and is no part of the student."""
        student, teacher = TableTask(1), TableTask(0).train()
        before = {name: value.detach().clone() for name, value in teacher.named_parameters()}
        distillation = self.distillation(teacher)
        batch = {"targets": list(range(TARGETS))}
        distillation(student, batch, student(batch)).loss.backward()
        require(not any(training for training, _ in teacher.modes), "teacher has no gradient: the teacher is in training mode")
        require(not any(graph for _, graph in teacher.modes), "teacher has no gradient: its forward pass keeps a graph")
        given = [name for name, value in teacher.named_parameters() if value.grad is not None]
        require(not given, f"teacher has no gradient: {', '.join(given)} of the teacher has one")
        changed = [name for name, value in teacher.named_parameters() if not torch.equal(value, before[name])]
        require(not changed, f"teacher has no gradient: {', '.join(changed)} of the teacher has changed")
        require(not any(module is teacher for module in student.modules()), "teacher has no gradient: the teacher is a part of the student")

    def test_equal_outputs_are_the_minimum(self) -> None:
        """No student has a smaller loss than one with the outputs of the teacher."""
        teacher = TableTask(0)
        least = self.result(TableTask(0), teacher).loss.item()
        require(least == least, "equal outputs are the minimum: the loss of a student that equals its teacher is not a number")
        for seed in range(1, 9):
            for size in (1e-3, 0.1, 1.0):
                student = TableTask(0)
                with torch.no_grad():
                    for own, other in zip(student.parameters(), TableTask(seed).parameters(), strict=True):
                        own.add_(other, alpha=size)
                loss = self.result(student, teacher).loss.item()
                require(
                    loss >= least - TOLERANCE,
                    f"equal outputs are the minimum: another student has the loss {loss:.6g}, one that equals its teacher {least:.6g}",
                )

    def test_the_student_learns(self) -> None:
        """The loss has a gradient for the student's outputs, and following it brings them nearer to the teacher's."""
        student, teacher = TableTask(1), TableTask(0)
        first, before = self.result(student, teacher).loss, distances(student, teacher)
        optimizer = torch.optim.SGD(student.parameters(), lr=0.05)
        for _ in range(20):
            optimizer.zero_grad()
            loss = self.result(student, teacher).loss
            require(loss.requires_grad, "the student learns: the loss has no gradient")
            loss.backward()
            optimizer.step()
        last, after = self.result(student, teacher).loss, distances(student, teacher)
        require(last < first, f"the student learns: 20 steps took the loss from {first.item():.4g} to {last.item():.4g}")
        nearer = any(one < other for one, other in zip(after, before, strict=True))
        require(nearer, "the student learns: neither its probabilities nor its hidden states come nearer to the teacher's")

    def test_stays_finite(self) -> None:
        """Large logits in half precision give a finite loss and finite gradients."""
        for dtype in (torch.bfloat16, torch.float16):
            student, teacher = TableTask(1, dtype=dtype), TableTask(0, dtype=dtype)
            with torch.no_grad():
                student.logits.mul_(1000)
                teacher.logits.mul_(1000)
            loss = self.result(student, teacher).loss
            loss.backward()
            finite = loss.isfinite() and all(value.grad is None or value.grad.isfinite().all() for value in student.parameters())
            require(finite, f"stays finite: with logits of thousands in {dtype} the loss is {loss.item()}, or a gradient is not finite")

    def test_refuses_other_classes(self) -> None:
        """A teacher with other classes is refused with a message to the user."""
        try:
            self.result(TableTask(1), TableTask(0, classes=CLASSES + 2))
        except UserError:
            return
        except Exception as error:
            raise BrokenPromise(f"refuses other classes: it ends in {type(error).__name__}: {error}") from error
        require(False, f"refuses other classes: a teacher of {CLASSES + 2} classes is taken for a student of {CLASSES}")


def distances(student: TableTask, teacher: TableTask) -> tuple[float, float]:
    """Of probabilities, and of the direction of hidden states."""
    probabilities = (student.logits.softmax(-1) - teacher.logits.softmax(-1)).norm().item()
    return probabilities, 1 - cosine_similarity(student.hidden, teacher.hidden).mean().item()
