"""A task, the formats that it takes, and trainers that its loss allows: all from declarations, before any data is read."""

import copy

import pytest

from framework.__main__ import main
from framework.config import catalogue
from framework.config.catalogue import Catalogue
from framework.config.task_data import task_mistakes

pytestmark = pytest.mark.hydra  # also with a newer one: make test-hydra

TASKS = catalogue.load().names("task")


@pytest.mark.parametrize("name", [name for name in TASKS if "/" not in name])
def test_every_built_in_task_reads_what_its_format_makes(name):
    entry = catalogue.load().option(f"task/{name}")
    if not entry["module"].startswith("plugins."):
        pytest.skip("a task of a test")
    made = catalogue.load().option(f"format/{entry['slots']['format']['default']}")["declarations"]["makes"]
    assert entry["declarations"]["reads"] and set(entry["declarations"]["reads"]) <= set(made)


@pytest.mark.parametrize(("task", "format", "words"), [
    ("completion", "causal", ("task.format = causal: task/completion reads following, size, bytes, words of a batch",
                              "this format makes ids, targets", "task/format=completion")),
    ("classification", "ner", ("reads label of a batch", "task/format=classification|pairs")),
    ("translation", "completion", ("reads source, source_padding_mask, target, labels", "this format makes ids, following")),
])  # fmt: skip
def test_check_refuses_a_format_that_lacks_something(capsys, task, format, words):
    assert main(["check", f"task={task}", f"task/format={format}"]) == 2
    said = capsys.readouterr().err
    assert not [word for word in words if word not in said], said


def declared(**declarations):
    """The catalogue, and a config of classification whose class declares something else."""
    options = copy.deepcopy(catalogue.load().options)
    options["task"]["classification"]["declarations"] |= declarations
    return Catalogue(options, {})


@pytest.mark.parametrize(("loss_over", "micro_batches", "batches", "remedy"), [
    ("rows", 4, {"rows": 32}, None),
    ("batch", 1, {"rows": 32}, None),
    ("batch", 4, {"rows": 32}, "data.batches.rows=128"),
    ("global_batch", 2, {"budget": 4096}, "data.batches.budget=8192"),
    ("global_batch", 2, {"rows": None, "budget": 4096}, "data.batches.budget=8192"),
])  # fmt: skip
def test_a_loss_that_compares_rows_refuses_micro_batches(loss_over, micro_batches, batches, remedy):
    config = {
        "task": {"part": "task/classification", "format": {"part": "format/classification"}},
        "trainer": {"part": "trainer/lightning", "accumulate_grad_batches": micro_batches},
        "data": {"part": "data/builtin", "batches": {"part": "batches/rows", **batches}},
    }
    mistakes = list(task_mistakes(config, declared(loss_over=loss_over)))
    assert len(mistakes) == (remedy is not None)
    for path, _, reason, _ in mistakes:
        assert path == "trainer.accumulate_grad_batches" and f"trainer.accumulate_grad_batches=1 {remedy}" in reason


def test_a_format_that_says_nothing_is_told_what_to_say():
    options = declared().options
    options["format"]["classification"]["declarations"]["makes"] = []
    config = {"task": {"part": "task/classification", "format": {"part": "format/classification"}}}
    ((path, part, reason, about_parts),) = task_mistakes(config, Catalogue(options, {}))
    assert (path, part, about_parts) == ("task.format", "format/classification", True)
    assert "task/classification reads ids, padding_mask, label" in reason and "`makes = (...)`" in reason
