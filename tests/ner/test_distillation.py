"""Distillation outputs of tagging: for each word with subwords the marginal probabilities of its tags."""

from itertools import product
from math import exp

import pytest
import torch

from framework.registry import Part
from plugins.ner.heads import CrfTagHead, SoftmaxTagHead
from tests.ner.test_task import make_batch, make_task


@pytest.mark.parametrize("head", [SoftmaxTagHead, CrfTagHead])
def test_words_without_a_piece_are_left_out(head):
    task, batch = make_task(head=Part(head)), make_batch()
    result = task(batch)
    outputs, words = task.distillation_outputs(batch, result), result.output
    assert len(outputs.hidden) == len(outputs.logits) == int(result.weight) == 8  # of nine words, one is a digit
    spoken = [(row, word) for row in range(3) for word in range(5) if words.aligned[row, word]]
    assert torch.equal(outputs.hidden, torch.stack([words.states[place] for place in spoken]))
    if head is SoftmaxTagHead:
        assert torch.equal(outputs.logits, torch.stack([words.scores[place] for place in spoken]))


def test_a_chain_tells_the_share_of_all_sequences_that_have_a_tag():
    torch.manual_seed(0)
    head = CrfTagHead(dim=4, tags=("O", "B-a", "I-a"), scheme="iob2").double()
    with torch.no_grad():
        head.step.normal_()
        head.ends.normal_()
    scores, lengths = torch.randn(2, 4, 3, dtype=torch.double), (4, 2)
    padding_mask = torch.arange(4) < torch.tensor(lengths)[:, None]
    outputs = head.marginal_logits(scores, padding_mask).softmax(dim=-1)
    for row, length in enumerate(lengths):
        shares, total = torch.zeros(length, 3, dtype=torch.double), 0.0
        for path in product(range(3), repeat=length):
            steps = list(zip(path, path[1:], strict=False))
            if not all(head.allowed[step] for step in [(-1, path[0]), *steps, (path[-1], -1)]):
                continue
            value = head.ends[0, path[0]] + head.ends[1, path[-1]] + sum(head.step[step] for step in steps)
            value = exp(float(value + sum(scores[row, word, tag] for word, tag in enumerate(path))))
            total += value
            for word, tag in enumerate(path):
                shares[word, tag] += value
        torch.testing.assert_close(outputs[row, :length], shares / total)


@pytest.mark.parametrize("head", [SoftmaxTagHead, CrfTagHead])
def test_a_pupil_follows_with_every_weight_of_its_head(head):
    from framework.training.distillation import StandardDistillation

    student, teacher = (make_task(head=Part(head)) for _ in range(2))
    with torch.no_grad():
        teacher.head.scores.weight.mul_(3)
    batch = make_batch()
    result = StandardDistillation(teacher, hard=0.0)(student, batch, student(batch))
    result.loss.backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in student.parameters())
    assert all(parameter.grad.any() for parameter in student.head.parameters())
