"""Files are whole or not there: a full disk, a kill in the middle, a second file system."""

import os
import resource
import signal
import subprocess
import sys

import pytest
import torch

from framework.errors import UserError
from framework.training.trainers import AtomicCheckpointIO
from framework.utils.files import new_folder, remove_partial, replacing, write_text


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "a.txt") as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_permissions_are_those_of_an_ordinary_file(tmp_path):
    (tmp_path / "plain").touch()
    write_text(tmp_path / "ours", "")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.fixture
def small_files():
    """A file size limit of 100 kB, which acts like a full disk. Python ignores the signal and gets the error."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_checkpoint_that_does_not_fit_leaves_the_old_one_whole(tmp_path, small_files):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"w": torch.ones(3)}, path)
    with pytest.raises(UserError, match="may write"):
        AtomicCheckpointIO().save_checkpoint({"w": torch.zeros(100_000)}, path)
    assert torch.load(path, weights_only=True)["w"].tolist() == [1, 1, 1]
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_full_disk_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="disk is full"), replacing(tmp_path / "x"):
        raise OSError(28, os.strerror(28))


KILLED = """
import os, signal, sys
from pathlib import Path
from framework.utils.files import replacing
with replacing(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_partial_files_of_a_killed_process_are_removed(tmp_path):
    path = tmp_path / "last.ckpt"
    write_text(path, "old")
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2
    remove_partial(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_folder_is_whole_or_not_there(tmp_path):
    target = tmp_path / "out" / "target"
    with pytest.raises(OSError), new_folder(target) as partial:
        (partial / "half").write_text("half")
        raise OSError("no space")
    assert list(target.parent.iterdir()) == []
    with new_folder(target) as partial:
        assert not target.exists() and partial.parent == target.parent
        (partial / "file").write_text("text")
    assert [path.name for path in target.parent.iterdir()] == ["target"] and (target / "file").read_text() == "text"
    (tmp_path / "out" / ".target.1.partial").mkdir()
    remove_partial(tmp_path / "out", "other")
    assert len(list(target.parent.iterdir())) == 2
    remove_partial(tmp_path / "out", "target")
    assert [path.name for path in target.parent.iterdir()] == ["target"]


def test_the_temporary_file_lies_beside_its_target(tmp_path, monkeypatch):
    """A rename from another file system would be a copy over the old file."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "elsewhere"))
    with replacing(tmp_path / "x") as file:
        assert len(list(tmp_path.iterdir())) == 1
        file.write(b"whole")
    assert (tmp_path / "x").read_bytes() == b"whole"
