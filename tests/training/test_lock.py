"""The lock of a run's folder: one process at a time; what is dead is taken over, what lives is named."""

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace

import pytest

from framework.errors import UserError
from framework.runs import lock
from framework.runs.holder import Holder, start_of
from framework.runs.lock import held, holder, join


@pytest.fixture
def sleeper():
    """A living process."""
    process = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def of(process) -> Holder:
    return replace(Holder.this(), pid=process.pid, started=start_of(process.pid) or "")


def lock_of(folder, *holders: Holder, age=0.0):
    """A lock file with these holders, whose last heartbeat was so many seconds ago."""
    path = folder / "lock-1.jsonl"
    path.write_text("".join(f"{json.dumps(asdict(each))}\n" for each in holders))
    os.utime(path, (time.time() - age,) * 2)


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_second_comer_is_told_who_has_it(tmp_path):
    with held(tmp_path):
        assert holder(tmp_path) == replace(Holder.this(), since=holder(tmp_path).since)
        for take in (lambda: held(tmp_path).__enter__(), lambda: lock.check(tmp_path)):
            with pytest.raises(UserError) as caught:
                take()
            assert all(said in str(caught.value) for said in (str(os.getpid()), holder(tmp_path).host, holder(tmp_path).since))
        assert files(tmp_path) == ["lock-1.jsonl"]
    assert files(tmp_path) == [] and holder(tmp_path) is None


def test_of_many_comers_at_once_one_gets_it(tmp_path, sleeper):
    dead = replace(of(sleeper), started="0")  # another process has its id now
    for _ in range(10):
        lock_of(tmp_path, dead)
        start, done, got = threading.Barrier(8), threading.Barrier(8), []

        def come(start=start, done=done, got=got):
            start.wait()
            try:
                with held(tmp_path):
                    got.append(1)
                    done.wait()
            except UserError:
                done.wait()

        comers = [threading.Thread(target=come) for _ in range(8)]
        for comer in comers:
            comer.start()
        for comer in comers:
            comer.join()
        assert got == [1] and files(tmp_path) == []


ELSEWHERE = {"table": "another machine"}


@pytest.mark.parametrize(
    ("change", "age", "lives"),
    [
        ({}, 3600, True),  # stopped for an hour, but there
        ({"started": "0"}, 0, False),  # its id was used again
        ({"pid": 2**22 + 1}, 0, False),
        (ELSEWHERE, 0, True),
        (ELSEWHERE, -3600, True),  # of a clock that is ahead: the file is of the future only to one who does not ask the file system
        (ELSEWHERE, lock.BOUND + 1, False),
        ({**ELSEWHERE, "pid": 2**22 + 1}, lock.BOUND - 20, True),
        ({"table": "", "started": ""}, 0, True),  # a system that tells neither
        ({"table": "", "started": ""}, lock.BOUND + 1, False),
    ],
)
def test_who_is_alive(tmp_path, sleeper, change, age, lives):
    lock_of(tmp_path, replace(of(sleeper), **change), age=age)
    if lives:
        with pytest.raises(UserError), held(tmp_path):
            pass
        assert files(tmp_path) == ["lock-1.jsonl"]
    else:
        with held(tmp_path):
            assert files(tmp_path) == ["lock-2.jsonl"] and holder(tmp_path).pid == os.getpid()


def test_the_clock_is_that_of_the_file_system(tmp_path, sleeper, monkeypatch):
    lock_of(tmp_path, replace(of(sleeper), **ELSEWHERE), age=5)
    monkeypatch.setattr(time, "time", lambda: 9e9)
    with pytest.raises(UserError), held(tmp_path):
        pass


@pytest.mark.parametrize("text", ["", "{", "null\n", '{"pid": "x"}\n', '{"host": 1, "table": "", "pid": 1, "started": "", "since": ""}\n'])
def test_a_torn_lock_is_one_until_it_is_old(tmp_path, text):
    path = tmp_path / "lock-1.jsonl"
    path.write_text(text)
    with pytest.raises(UserError), held(tmp_path):
        pass
    os.utime(path, (1, 1))
    with held(tmp_path):
        pass


def test_a_rank_of_a_dead_parent_keeps_the_folder(tmp_path, sleeper):
    dead = replace(of(sleeper), pid=2**22 + 1)
    lock_of(tmp_path, dead, of(sleeper), age=3600)
    with pytest.raises(UserError), held(tmp_path):
        pass
    sleeper.kill()
    sleeper.wait()
    with held(tmp_path):
        pass


def test_a_rank_joins_the_lock_of_its_parent_alone(tmp_path, monkeypatch):
    with held(tmp_path):
        with pytest.raises(UserError, match="has ended"):
            join(tmp_path)
        monkeypatch.setattr(os, "getppid", os.getpid)
        join(tmp_path)
        assert len((tmp_path / "lock-1.jsonl").read_text().splitlines()) == 2
    assert files(tmp_path) == ["lock-1.jsonl"]  # the rank lives


def test_a_holder_that_lost_its_lock_hears_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "BEAT", 0.01)
    heard = threading.Event()
    with held(tmp_path, lost=heard.set):
        before = (tmp_path / "lock-1.jsonl").stat().st_mtime_ns
        while (tmp_path / "lock-1.jsonl").stat().st_mtime_ns == before:
            time.sleep(0.01)
        (tmp_path / "lock-1.jsonl").rename(tmp_path / "taken")
        assert heard.wait(60)


def test_without_hard_links(tmp_path, monkeypatch):
    def refuse(*names):
        raise OSError

    monkeypatch.setattr(os, "link", refuse)
    with held(tmp_path), pytest.raises(UserError), held(tmp_path):
        pass
    assert files(tmp_path) == []
