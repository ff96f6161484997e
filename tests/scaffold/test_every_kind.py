"""Scaffolds of all kinds: each passes its suite as `new` generated it, and is used in a run at toy size."""

import re
from itertools import chain
from pathlib import Path

import pytest

from framework import registry, testing
from framework.__main__ import main
from framework.cli.scaffold.texts import KINDS
from framework.config import catalogue
from tests import forks
from tests.scaffold.contracts import share_of

ROOT = Path(__file__).parents[2]
TINY = [
    *("trainer.max_steps=3", "trainer.accelerator=cpu", "trainer.limit_val_batches=2", "trainer.limit_test_batches=2"),
    *(
        "model.dim=16",
        "model.num_heads=2",
        "model.num_layers=2",
        "model.max_length=64",
        "callbacks.progress.style=off",
        "task.baseline=false",
    ),
]
WORDS = {  # overrides that the README lacks
    "decoder": ["model/decoder=a_decoder_half"],
    "decoding": ["task.test_rows=2", "task.decoding.max_new_tokens=4"],
}
# Kinds that one run uses. Distillation comes first: its teacher is the run before it.
PARTS = "attention position feed_forward norm block decoder optimizer schedule tokenizer tracker callback trainer".split()
TOGETHER = [["distillation"], PARTS, ["encoder", "classifier", "batches"]]
USED = [kind for kind in KINDS if kind != "family"]  # a family is used by a folder in its layout, which its suite opens
GROUPS = [*TOGETHER, *([kind] for kind in USED if kind not in sum(TOGETHER, []))]


def test_every_kind_has_a_template_and_a_suite():
    """Those of the framework, and those that our plugins add."""
    known = catalogue.load()
    ours = {
        kind
        for kind, options in known.options.items()
        if any(each["package"].startswith(("framework", "plugins")) for each in options.values())
    }
    assert set(KINDS) == ours >= set(registry.KINDS)
    for kind in KINDS:
        (test,) = (ROOT / "framework" / "cli" / "scaffold" / kind).glob("test_*.py")
        suite = re.findall(r"^from framework\.testing import (\w+Promises)$", test.read_text(), re.MULTILINE)
        assert len(suite) == 1 and hasattr(testing, suite[0]), kind


@pytest.fixture(scope="module")
def used(tmp_path_factory, pytestconfig) -> str:
    """The output of testing a plugin of each kind and training with it: in one process, because imports cost the most."""
    folder = tmp_path_factory.mktemp("kinds")
    catalogue.load()
    commands = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for kind in KINDS:
            assert main(["new", kind, f"a_{kind}"]) == 0
            readme = (folder / "plugins" / f"a_{kind}" / "README.md").read_text()
            commands[kind] = re.findall(r"^python -m framework train (.*)$", readme, re.MULTILINE)[0].split()
    first = ["name=first", *TINY, "data.limit=60"]
    training = []
    for kinds in GROUPS:
        words = chain.from_iterable([*commands[kind], *WORDS.get(kind, [])] for kind in kinds)
        training.append((kinds, [*dict.fromkeys(words), *TINY, *(["data.limit=60"] if kinds != ["data"] else [])]))
    program = f"""\
from framework.__main__ import main
from tests.scaffold.contracts import tested

words = "-q -rAf --no-header --tb=short plugins".split()
print("tests", tested(words, {share_of(pytestconfig)}, ("file", "test"), "a_attention"), flush=True)
main(["train", *{first!r}])
for kinds, words in {training!r}:
    code = main(["train", *words])
    for kind in kinds:
        print("trained", kind, code, flush=True)
"""
    _, out, said = forks.python(program, folder)
    return out + said


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_it_passes_its_suite_as_it_was_generated(used, kind):
    outcomes = re.findall(rf"^(PASSED|FAILED|ERROR) plugins/a_{kind}/test_a_{kind}\.py::(.*)$", used, re.MULTILINE)
    assert [outcome for outcome in outcomes if outcome[0] != "PASSED"] == [] and len(outcomes) >= 3, used[-6000:]


@pytest.mark.slow
@pytest.mark.parametrize("kind", USED)
def test_it_is_used_in_a_run(used, kind):
    assert f"\ntrained {kind} 0\n" in used, used[-6000:]
