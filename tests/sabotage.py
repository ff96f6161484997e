"""Ten one-line breakages of the core, each in a copy of the tree: the suite must turn red. `pytest -m sabotage tests/sabotage.py`."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.sabotage
ROOT = Path(__file__).parents[1]
TREE = ("framework", "plugins", "conf", "tests", "train.py", "pyproject.toml")


class Breakage(NamedTuple):
    """One line of a file, what it becomes, and the tests that must notice: each of them."""

    file: str
    old: str
    new: str
    tests: tuple[str, ...]


BREAKAGES = {
    "mask off by one": Breakage(
        "framework/parts/masks.py",
        "allowed = key <= query if self.causal",
        "allowed = key <= query + 1 if self.causal",
        ("tests/parts/test_kernel.py::test_a_mask_is_what_its_sentence_says",),
    ),
    "padding dropped from cross-attention": Breakage(
        "framework/parts/decoders.py",
        "encoder_mask = Mask(x.shape[1], source.encoder_length, padding_mask=source.encoder_padding_mask, device=x.device)",
        "encoder_mask = Mask(x.shape[1], source.encoder_length, padding_mask=None, device=x.device)",
        ("tests/parts/test_parity.py::test_the_decoder_is_torchs", "tests/translation/test_task.py"),
    ),
    "rotary offset in cached decoding": Breakage(
        "framework/parts/caches.py",
        "return make_positions(ids) + self.length",
        "return make_positions(ids)",
        ("tests/generation/test_engine.py::test_greedy_is_the_plain_loop_with_a_source",),
    ),
    "a row served twice": Breakage(
        "framework/data/batches.py",
        "waiting = waiting[full:]",
        "waiting = waiting[max(full - 1, 0) :]",
        ("tests/data/test_batches.py::test_every_row_exactly_once_in_every_epoch",),
    ),
    "loss averaged per rank": Breakage(
        "framework/training/learner.py",
        'window = self.trainer.strategy.reduce(self._window.clone(), reduce_op="sum")',
        "window = self._window.clone()",
        ("tests/training/test_processes.py::test_ddp_is_one_process",),
    ),
    "optimizer state not restored": Breakage(
        "framework/training/trainers.py",
        "torch.save(checkpoint, file)",
        'torch.save({**checkpoint, "optimizer_states": [{**s, "state": {}} for s in checkpoint["optimizer_states"]]}, file)',
        ("tests/training/test_resume.py::test_killed_some_steps_after_the_last_save",),
    ),
    "decay on norms": Breakage(
        "framework/training/groups.py",
        '"weight_decay": weight_decay if decays else 0.0}',
        '"weight_decay": weight_decay}',
        ("tests/training/test_optimizers.py::test_matrices_decay_and_norms_and_biases_do_not",),
    ),
    "metric not reset": Breakage(
        "framework/training/learner.py",
        "self._evaluation = Evaluation(",
        'self._evaluation = getattr(self, "_evaluation", None) or Evaluation(',
        ("tests/training/test_learner.py::test_validation_metrics_are_of_all_rows_and_fresh_each_time",),
    ),
    "label shift": Breakage(
        "plugins/completion/shift.py",
        'following = pad([row["ids"][1:] for row in features]',
        'following = pad([row["ids"][:-1] for row in features]',
        ("tests/completion/test_format.py::test_targets_are_the_next_tokens",),
    ),
    "finish skipped": Breakage(
        "framework/tracking/base.py",
        "tracker.finish(exit_code)",
        "pass",
        ("tests/integration/test_run_folder.py::test_a_failed_run_is_reported_as_failed",),
    ),
}


def copied(folder: Path) -> Path:
    for name in TREE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return folder


def run(folder: Path, *tests: str) -> subprocess.CompletedProcess:
    """The tests of a copied tree, which imports the copied package."""
    pytest_ = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--no-header",
        "--tb=line",
        "--no-showlocals",
        "-rf",
        "-W",
        "ignore",
        "-p",
        "no:cacheprovider",
    ]
    return subprocess.run([*pytest_, *tests], cwd=folder, capture_output=True, text=True, timeout=600)


def test_the_unbroken_copy_is_green(tmp_path):
    done = run(copied(tmp_path), *sorted({test for breakage in BREAKAGES.values() for test in breakage.tests}))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("breakage", BREAKAGES.values(), ids=BREAKAGES)
def test_the_suite_turns_red(tmp_path, breakage):
    file = copied(tmp_path) / breakage.file
    text = file.read_text(encoding="utf-8")
    assert text.count(breakage.old) == 1, f"{breakage.file} has {text.count(breakage.old)} times: {breakage.old}"
    file.write_text(text.replace(breakage.old, breakage.new), encoding="utf-8")
    compile(file.read_text(encoding="utf-8"), file, "exec")  # it is the meaning that breaks, not the syntax
    done = run(tmp_path, *breakage.tests)
    assert done.returncode == 1, done.stdout
    silent = [test for test in breakage.tests if f"FAILED {test}" not in done.stdout]
    assert not silent, f"not noticed by {', '.join(silent)}:\n{done.stdout}"
