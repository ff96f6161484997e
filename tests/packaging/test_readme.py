"""The README: its commands compose, the parts and files that it names exist, its example of a part works."""

import itertools
import random
import re
import shlex
from pathlib import Path

import pytest

from framework.config import catalogue
from framework.config.space import Space
from framework.registry.rule_functions import FUNCTIONS
from framework.workflows.start import compose_run as compose
from tests import forks

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)
COMMANDS = [line.partition(" #")[0].strip() for language, block in BLOCKS if not language for line in block.splitlines()]
# Without those that need a run, or a folder of the reader's own.
TO_COMPOSE = [
    line
    for line in COMMANDS
    if re.match(r"(WANDB_MODE=offline )?python (train\.py|-m framework check)", line)
    and not re.search(r"resume=|--help|--config-dir", line)
]


def jobs(line: str) -> list[list[str]]:
    """The overrides of a command; of a sweep, those of every job, of a search, those that are checked first."""
    words = [word for word in shlex.split(line) if "=" in word and not word.startswith("WANDB_MODE")]
    if any(word.startswith("sweep=") for word in words):
        space = Space.of(words)
        return [list(space.words(point)) for point in space.points()]
    if " -m task" not in line:
        return [words]
    choices = [[f"{key}={value}" for value in values.split(",")] for key, _, values in (word.partition("=") for word in words)]
    return [list(job) for job in itertools.product(*choices)]


def test_there_are_commands_to_try():
    assert len(TO_COMPOSE) >= 15


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder with `DIR` in it, a small published model."""
    import torch

    from framework.data.spec import DataSpec
    from framework.huggingface.writing import write
    from framework.registry import build

    folder = tmp_path_factory.mktemp("readme")
    (folder / "DIR").mkdir()
    config = compose(["task=classification", "model=bert_tiny", "model.dim=16", "model.num_layers=6"]).config["model"]
    torch.manual_seed(0)
    model = build(config, spec=DataSpec(30, config["max_length"]))
    write(
        folder / "DIR", config, {f"model.{name}": value for name, value in model.state_dict().items()}, DataSpec(30, config["max_length"])
    )
    return folder


@pytest.mark.matrix(0.6, axes=())
@pytest.mark.parametrize("line", TO_COMPOSE)
def test_a_command_composes(line, published, monkeypatch):
    monkeypatch.setitem(FUNCTIONS, "device_possible", lambda accelerator: True)  # the reader's machine has what the command names
    monkeypatch.chdir(published)
    for overrides in random.Random(0).sample(found := jobs(line), min(len(found), 3)):  # of a sweep, the same jobs every time
        compose(overrides)


def test_what_is_listed_and_described_exists():
    known = catalogue.load()
    for line in COMMANDS:
        if found := re.match(r"python -m framework (list|describe) (\S+)", line):
            assert known.names(found[2]) if found[1] == "list" else known.option(found[2])


def test_files_and_folders_that_are_linked_exist():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_example_of_a_part_can_be_built(tmp_path):
    (example,) = [block for language, block in BLOCKS if language == "python" and "@register" in block]
    program = f"""\
import torch
from torch import Tensor, nn
from framework import Part, register

{example}
part = Part("feed_forward/maxout", pieces=3)(dim=4, dropout=0.0, bias=True)
assert part(torch.randn(2, 5, 4)).shape == (2, 5, 4)
"""
    code, _, said = forks.python(program, tmp_path)
    assert code == 0, said
