"""Ranks of torchrun or srun meet in the folder that rank zero makes, or end with the reason; two threads stand for two machines."""

import contextlib
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from torch.distributed import HashStore

from framework.errors import UserError
from framework.utils.ranks import Ranks
from framework.workflows import meeting


@pytest.fixture
def meet(tmp_path, monkeypatch):
    """Rank zero and rank one meet. Returns, for each, its folder or what it raised."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setattr(meeting.Start, "of_run", lambda run: SimpleNamespace(run=run))
    monkeypatch.setattr(meeting.Run, "open", lambda folder: SimpleNamespace(folder=folder))

    def make():
        time.sleep(0.3)  # it encodes
        return SimpleNamespace(run=SimpleNamespace(folder=tmp_path))

    def rank(number, make):
        try:
            with meeting.meet(Ranks(number, 2, number, 0, 1, "srun", "127.0.0.1", port), make, contextlib.nullcontext) as start:
                return start.run.folder
        except (UserError, SystemExit) as error:
            return error

    def meet(make=make, both=True):
        monkeypatch.setattr(meeting, "_launched", iter([0, 0]))
        with ThreadPoolExecutor() as pool:
            return [found.result() for found in [pool.submit(rank, number, make) for number in range(1 + both)]]

    yield meet
    meeting._stores.clear()


def test_all_ranks_get_the_folder_of_rank_zero(meet, tmp_path):
    assert meet() == [tmp_path, tmp_path]
    assert not list(tmp_path.iterdir())


def test_a_machine_that_does_not_see_the_folder_is_named(meet, tmp_path, monkeypatch):
    monkeypatch.setattr(meeting, "_seen", lambda path: False)
    reason, end = meet()
    assert isinstance(reason, UserError) and str(tmp_path) in str(reason) and socket.gethostname() in str(reason)
    assert isinstance(end, SystemExit) and end.code == 2


def test_a_mistake_on_rank_zero_ends_all(meet):
    def wrong():
        raise UserError("wrong")

    reason, end = meet(wrong)
    assert str(reason) == "wrong" and end.code == 2


def test_a_rank_that_does_not_come(meet, monkeypatch):
    monkeypatch.setattr(meeting, "ARRIVAL", 0.5)
    monkeypatch.setattr(meeting, "SIGHT", 0.1)
    (reason,) = meet(both=False)
    assert isinstance(reason, UserError) and "1 of 2 processes" in str(reason)


def test_rank_zero_that_does_not_answer(monkeypatch):
    monkeypatch.setattr(meeting, "ARRIVAL", 0.1)
    place = Ranks(1, 2, 1, 0, 1, "srun", "127.0.0.1", 1)
    with pytest.raises(UserError, match=r"127\.0\.0\.1:1 .*MASTER_ADDR"), meeting.meet(place, None, None):
        pass


def test_a_file_that_appears_late_is_seen(tmp_path, monkeypatch):
    with ThreadPoolExecutor() as pool:
        seen = pool.submit(meeting._seen, tmp_path / "mark")
        time.sleep(0.1)
        (tmp_path / "mark").touch()
        assert seen.result()
    monkeypatch.setattr(meeting, "SIGHT", 0.1)
    assert not meeting._seen(tmp_path / "other")


def test_processes_that_torchrun_starts_again_go_on_with_their_run_and_meet_anew(tmp_path, monkeypatch):
    for name, value in (("TORCHELASTIC_USE_AGENT_STORE", "True"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", "1")):
        monkeypatch.setenv(name, value)
    store, place = HashStore(), Ranks(0, 2, 0, 0, 1, "torchrun", "127.0.0.1", 1)
    assert meeting._begun(store, place) is None
    meeting._meet_anew(store, "first", place)
    assert os.environ["MASTER_PORT"] == "1" and os.environ["TORCHELASTIC_USE_AGENT_STORE"] == "True"
    store.set(meeting._BEGUN, str(tmp_path))
    for devices, changes in ((2, []), (4, ["trainer.devices=2", "trainer.num_nodes=1"])):
        run = SimpleNamespace(folder=tmp_path, config=lambda devices=devices: {"trainer": {"devices": devices, "num_nodes": 1}})
        monkeypatch.setattr(meeting.Run, "open", lambda folder, run=run: run)
        monkeypatch.setattr(meeting.Start, "resumed", lambda run, changes: changes)
        assert meeting._begun(store, place) == changes
    meeting._meet_anew(store, "second", place)
    assert int(os.environ["MASTER_PORT"]) > 1 and os.environ["TORCHELASTIC_USE_AGENT_STORE"] == "False"
