"""Cache entries: complete or written again, by one process for all."""

import os
import signal
import subprocess
import sys
import time

import pytest

from framework.data import cache
from framework.errors import UserError
from framework.utils.cache_folder import cache_folder

WRITER = """
import sys, time
from pathlib import Path
from framework.data import cache

def write(folder):
    with open(sys.argv[1], "a") as log:
        log.write("wrote\\n")
    (folder / "half").write_text("half")
    print("begun", flush=True)
    time.sleep(float(sys.argv[2]))
    (folder / "whole").write_text("whole")

folder = cache.entry("kind", "key", write)
print(cache.whole(folder), flush=True)
"""


def start(log, seconds):
    return subprocess.Popen([sys.executable, "-c", WRITER, str(log), str(seconds)], stdout=subprocess.PIPE, text=True)


def fill(text):
    def write(folder):
        (folder / "inside").mkdir()
        (folder / "inside" / "file").write_text(text)

    return write


def never(folder):
    raise AssertionError("this entry is there already")


def test_made_once_and_read_again():
    folder = cache.entry("kind", "key", fill("text"))
    assert (folder / "inside" / "file").read_text() == "text"
    assert cache.entry("kind", "key", never) == folder


def test_two_processes_share_one(tmp_path):
    log = tmp_path / "log"
    processes = [start(log, 1.0) for _ in range(2)]
    shown = [process.communicate(timeout=60)[0].split() for process in processes]
    assert log.read_text() == "wrote\n"
    assert sorted(shown) == [["True"], ["begun", "True"]]


def test_killed_in_the_middle_it_is_made_again(tmp_path, own_cache):
    process = start(tmp_path / "log", 600)
    assert process.stdout.readline() == "begun\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (own_cache / "kind" / "key").exists()
    assert list((own_cache / "kind").glob("*.partial"))
    began = time.monotonic()
    folder = cache.entry("kind", "key", fill("text"))
    assert time.monotonic() - began < 60
    assert cache.whole(folder)
    assert not list((own_cache / "kind").glob("*.partial"))


def cut(folder):
    (folder / "inside" / "file").write_text("tex")


def change(folder):
    (folder / "inside" / "file").write_text("tezt")


def remove(folder):
    (folder / "inside" / "file").unlink()


def no_manifest(folder):
    (folder / cache.MANIFEST).unlink()


def half_a_manifest(folder):
    (folder / cache.MANIFEST).write_text('{"inside/file": [4')


@pytest.mark.parametrize("damage", [cut, change, remove, no_manifest, half_a_manifest])
def test_a_broken_entry_is_noticed_and_made_again(damage):
    folder = cache.entry("kind", "key", fill("text"))
    damage(folder)
    assert not cache.whole(folder)
    assert (cache.entry("kind", "key", fill("new")) / "inside" / "file").read_text() == "new"
    assert cache.whole(folder)


def test_what_the_writer_raises_leaves_nothing(own_cache):
    def fail(folder):
        (folder / "half").write_text("half")
        raise UserError("wrong row")

    with pytest.raises(UserError, match="wrong row"):
        cache.entry("kind", "key", fail)
    assert [path.name for path in (own_cache / "kind").iterdir() if path.suffix != ".lock"] == []


def test_a_cache_folder_that_cannot_be_used(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("a file, not a folder")
    monkeypatch.setenv("PLUGFORMER_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="the cache folder .*file cannot be used: .*\n.*PLUGFORMER_CACHE=FOLDER"):
        cache.entry("kind", "key", never)


def test_a_file_that_the_writer_misses_is_not_the_caches_fault(tmp_path):
    def read(folder):
        (tmp_path / "nowhere").read_text()

    with pytest.raises(FileNotFoundError):
        cache.entry("kind", "key", read)


def test_where_it_lies(monkeypatch, tmp_path):
    monkeypatch.delenv("PLUGFORMER_CACHE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "plugformer"
    monkeypatch.setenv("PLUGFORMER_CACHE", str(tmp_path / "named"))
    assert cache_folder() == tmp_path / "named"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PLUGFORMER_CACHE", "~/mine")
    assert cache_folder() == tmp_path / "mine"
