"""Distillation outputs of classification: probabilities of one label or several; none of numbers."""

import pytest
import torch

from framework.config.compose import compose
from framework.errors import UserError
from framework.registry import Part
from framework.tasks.capabilities import DistillationOutputs
from framework.training.distillation import StandardDistillation, soft_loss
from plugins.classification.data import ClassificationFormat
from plugins.classification.labels import LabelsTarget
from plugins.classification.number import NumberTarget
from plugins.classification.task import pool
from tests.classification.test_task import make_batch, make_task


def test_pooled_states_and_the_scores_that_the_loss_is_of():
    task, batch = make_task(), make_batch()
    outputs = task.distillation_outputs(batch, task(batch))
    states = task.model(batch["ids"])
    torch.testing.assert_close(outputs.hidden, pool(states, batch["padding_mask"], "mean"))
    torch.testing.assert_close(outputs.logits, task.head(outputs.hidden))


def test_several_labels_are_questions_with_two_answers():
    """The divergence of a text's labels is that of its Bernoulli variables, one by one."""
    hidden = torch.randn(2, 4, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    mine, right = (torch.randn(2, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.double) for seed in (1, 2))
    target = LabelsTarget()
    outputs = target.distillation_outputs(DistillationOutputs(hidden, mine))
    assert outputs.hidden is hidden and outputs.logits.shape == (6, 2)
    q, p = mine.sigmoid(), right.sigmoid()
    expected = (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).sum()
    torch.testing.assert_close(soft_loss(outputs, target.distillation_outputs(DistillationOutputs(hidden, right)), 1.0), expected)


def test_halves_of_a_batch_add_up_also_with_class_weights():
    """The weight of a batch stays that of its own loss."""
    student, teacher = make_task(ClassificationFormat(target=Part("target/label", class_weights={"warm": 3.0}))), make_task()
    with torch.no_grad():
        teacher.head.weight.mul_(2)
    lesson = StandardDistillation(teacher)
    batch = make_batch()
    parts = [{name: value[rows] for name, value in batch.items() if name != "@rows"} for rows in (slice(None), slice(2), slice(2, 3))]
    whole, *halves = (lesson(student, part, student(part)) for part in parts)
    torch.testing.assert_close(whole.loss, halves[0].loss + halves[1].loss)
    assert whole.weight == halves[0].weight + halves[1].weight == 7
    assert whole.loss != student(batch).loss


def test_a_number_is_refused_before_anything_is_built():
    with pytest.raises(UserError, match="a number has no probabilities to distill"):
        compose(["task=classification", "task/target=number", "task.teacher=runs/x"])
    with pytest.raises(UserError, match="target/number cannot be distilled"):
        NumberTarget().distillation_outputs(DistillationOutputs(torch.zeros(1, 2), torch.zeros(1, 1)))
