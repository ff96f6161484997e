"""Nothing in a training step waits for the device (docs/architecture.md has the list of what does)."""

import pytest
import torch
from torch import Tensor

from framework.config import catalogue
from framework.data.loader import BatchDataset
from framework.registry import Part
from framework.tasks.base import Result
from framework.testing.toy_task import ToyTask
from framework.training.host_copy import HostCopy
from plugins.ner.heads import CrfTagHead
from tests.training.few_rows import few_rows
from tests.training.waits import Waits

VARIANTS = [
    *(Part(f"task/{name}") for name in catalogue.load().names("task")),
    Part("task/classification", target=Part("target/labels")),
    Part("task/classification", target=Part("target/label", class_weights="balanced"), pooling="last"),
    Part("task/classification", token_dropout=0.3, pooling="max"),
    Part("task/completion", format=Part("format/prompted")),
    Part("task/ner", word_dropout=0.3),
    *(Part("task/pretraining", format=Part(f"format/{name}")) for name in ("causal", "span_corruption", "infilling")),
]


@pytest.mark.parametrize(
    ("wait", "operation"),
    [
        (lambda x: x[x > 0], "aten.index by booleans"),
        (lambda x: x.sum().item(), "aten._local_scalar_dense"),
        (lambda x: bool(x.any()), "aten._local_scalar_dense"),
        (lambda x: x.nonzero(), "aten.nonzero"),
        (lambda x: torch.tensor(3.0), "aten.lift_fresh"),
        (lambda x: x.masked_select(x > 0), "aten.masked_select"),
        (lambda x: x.__setitem__(x > 0, x[:1]), "aten.index_put_ by booleans"),
    ],
)
def test_the_count_finds_what_waits(wait, operation):
    with Waits() as waits:
        wait(torch.arange(3))
    assert waits.counts[operation] == 1
    with Waits() as waits:
        x = torch.ones(2, 3, requires_grad=True)
        (x[torch.arange(2), torch.zeros(2, dtype=torch.long)].sum() + x.index_select(0, torch.zeros(2, dtype=torch.long)).sum()).backward()
    assert not waits.counts


def training_batch(toy):
    task = toy.part.cls
    dataset = BatchDataset(
        toy.prepared.examples("train", shuffle=False), toy.format, toy.spec, 0, raw=False, unread=task.read_in_evaluation
    )
    return dataset[(0, 0, [0, 1, 2], False)]


@pytest.mark.parametrize("part", VARIANTS, ids=str)
def test_a_training_step_waits_for_nothing(part):
    """On the meta device, whose values nobody can read; the processor checks more than a GPU is asked for."""
    toy = ToyTask(part, few_rows(part))
    task = toy.task().train().to("meta")
    batch = {name: value.to("meta") if isinstance(value, Tensor) else value for name, value in training_batch(toy).items()}
    result: Result = task(batch)  # what is made once is made here
    with Waits() as waits:
        result = task(batch)
        (result.loss / result.weight).backward()
    assert not waits.counts


def test_the_chain_of_a_conditional_random_field_waits_for_nothing():
    head = CrfTagHead(4, ["O", "B-a", "I-a"], "iob2")
    scores, tags = torch.zeros(2, 5, 3, requires_grad=True), torch.zeros(2, 5, dtype=torch.long)
    with Waits() as waits:
        head.loss(scores, tags, tags == 0).backward()
    assert not waits.counts


def test_a_host_copy_of_the_processor_is_its_numbers():
    assert HostCopy(torch.tensor([1.0, 2.5])).read() == [1.0, 2.5]
