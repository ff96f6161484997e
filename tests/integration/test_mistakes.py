"""The list of mistakes: each is refused with a message about it, and leaves nothing on disk. benchmarks/mistakes.py measures its cost."""

import random
import re
from pathlib import Path

import pytest

from framework.__main__ import main as framework_main
from framework.cli.train import main as train_main
from tests.integration.conftest import CLASSIFICATION

LIST = Path(__file__).with_name("mistakes.tsv")
ROWS = [line.split("\t") for line in LIST.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
REFUSED = {name: (words, said) for verdict, name, words, *said in ROWS if verdict == "R" for said in said}


def check(name, project, capfd, main=train_main):
    words, said = REFUSED[name]
    before = sorted(project.rglob("*"))
    capfd.readouterr()
    code = main([*CLASSIFICATION, *re.split(r" (?=[+~]*[\w./@-]+=)", words)])
    out, message = capfd.readouterr()
    assert (code, out) == (2, ""), message
    assert said in message and 1 <= len(message.strip().splitlines()) <= 6
    assert sorted(project.rglob("*")) == before


@pytest.mark.parametrize("name", random.Random(1).sample(sorted(REFUSED), 10))
def test_a_mistake_is_refused(name, project, capfd):
    check(name, project, capfd)


@pytest.mark.parametrize("name", random.Random(2).sample(sorted(REFUSED), 3))
def test_check_says_the_same(name, project, capfd):
    check(name, project, capfd, main=lambda words: framework_main(["check", *words]))


@pytest.mark.whole
@pytest.mark.parametrize("name", sorted(REFUSED))
def test_every_mistake_is_refused(name, project, capfd):
    check(name, project, capfd)


def test_the_list_is_long_enough():
    assert len(REFUSED) >= 60 and len({name for _, name, *_ in ROWS}) == len(ROWS)
