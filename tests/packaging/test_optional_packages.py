"""Without wandb, datasets, pyarrow and matplotlib: train.py, predict and compare run; what needs one of them names it in one line."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ABSENT = ("wandb", "datasets", "pyarrow", "matplotlib")
TINY = "model.dim=16 model.num_layers=1 model.num_heads=2 model.max_length=32 trainer.accelerator=cpu trainer.max_steps=2".split()
TINY += ["data.limit=20", "trainer.limit_val_batches=1", "trainer.limit_test_batches=1", "callbacks.progress.style=off"]
COMMANDS = {
    "first": ["train", *TINY, "name=first"],
    "second": ["train", *TINY, "name=second", "seed=1"],
    "predict": ["predict", "runs/last", "text=import "],
    "evaluate": ["evaluate", "runs/last"],
    "compare": ["compare", "runs"],
    "wandb": ["train", *TINY, "logger=wandb"],
    "datasets": ["train", *TINY[:-4], "data=hub", "data.path=here"],
    "pyarrow": ["train", *TINY[:-4], "data=files", "data.train=rows.parquet"],
}
# Finders find neither modules nor distributions of what is absent: libraries look for them in both ways before they import.
PROGRAM = f"""\
import contextlib, io, json, runpy, sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, *more):
        return None if name.partition(".")[0] in {ABSENT} else self.finder.find_spec(name, *more)

    def find_distributions(self, *context):
        found = getattr(self.finder, "find_distributions", None)
        return found(*context) if found and not (context and context[0].name in {ABSENT}) else ()

sys.meta_path[:] = map(Without, sys.meta_path)
from framework.__main__ import main

outcomes = {{}}
for name, words in {COMMANDS}.items():
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as said:
        if words[0] == "train":
            sys.argv[1:] = words[1:]
            try:
                runpy.run_path({str(ROOT / "train.py")!r}, run_name="__main__")
            except SystemExit as end:
                code = end.code
        else:
            code = main(words)
    outcomes[name] = code, out.getvalue(), said.getvalue()
print(json.dumps([outcomes, sorted(set(sys.modules) & {set(ABSENT)})]))
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> dict[str, tuple[int, str, str]]:
    folder = tmp_path_factory.mktemp("without")
    (folder / "rows.parquet").write_bytes(b"PAR1")
    (folder / "here").mkdir()
    around = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=folder, env=around, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found, imported = json.loads(done.stdout.splitlines()[-1])
    assert not imported
    return found


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ABSENT])
def test_the_core_works(outcomes, name):
    code, out, said = outcomes[name]
    assert code == 0 and out, said


def test_the_answers_are_there(outcomes):
    assert "prediction" in json.loads(outcomes["predict"][1])
    assert re.search(r"^all runs +2 ", outcomes["compare"][1], re.MULTILINE), outcomes["compare"][1]


@pytest.mark.parametrize("name", [name for name in COMMANDS if name in ABSENT])
def test_what_needs_a_package_says_how_to_install_it(outcomes, name):
    code, _, said = outcomes[name]
    (line,) = [line for line in said.splitlines() if name in line and "needs the package" in line]
    assert code == 2 and f"python -m pip install {name}" in line and "Traceback" not in said
