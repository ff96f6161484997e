"""Signals outside of a step, to a process and to the parent of ranks; what is said and which exit code it has."""

import os
import signal
import subprocess
import sys
import time

import pytest

from framework.errors import RankFailed, UserError
from framework.training.interruption import REQUEUE, SIGNALS, Interrupted, Interruption, interruption
from framework.workflows import spawning

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGUSR1: REQUEUE, signal.SIGHUP: 129}


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "code"), CODES.items())
def test_a_signal_outside_of_training_stops_at_once(number, code):
    before = [signal.getsignal(each) for each in SIGNALS]
    with pytest.raises(Interrupted) as raised, interruption.watched(), interruption.watched():
        send(number)
    assert raised.value.code == code and "nothing to save" in str(raised.value)
    assert [signal.getsignal(each) for each in SIGNALS] == before


def test_in_training_a_signal_waits_and_only_a_second_ctrl_c_stops_at_once(capfd):
    with interruption.watched():
        interruption.deferred = True
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGUSR1):
            send(number)
        assert interruption.received == signal.SIGUSR1
        with pytest.raises(Interrupted) as raised:
            send(signal.SIGINT)
    assert raised.value.code == 130
    assert capfd.readouterr().err.count("after this step") == 1


def test_the_line_names_what_is_on_disk(tmp_path):
    last = tmp_path / "last.ckpt"
    for exists, step, line in ((False, None, "nothing to save"), (True, None, "the newest state"), (True, 7, "step 7")):
        last.write_text("") if exists else None
        with pytest.raises(Interrupted) as raised, interruption.of_run(tmp_path, last):
            interruption.saved = step
            raise Interrupted(signal.SIGTERM)
        assert line in str(raised.value) and (f"resume={tmp_path}" in str(raised.value)) == exists


@pytest.mark.parametrize(("number", "code"), CODES.items())
def test_an_exit_code_is_read_back(number, code):
    for key in (code, -number):
        assert Interrupted.of_code(key).signal == number
    assert Interrupted.of_code(1) is Interrupted.of_code(0) is Interrupted.of_code(-9) is None


def test_a_forked_worker_outlives_its_step_and_then_ends(monkeypatch):
    """SIGTERM to a process group reaches the workers of a data loader too."""
    alarms, mine = [], Interruption()
    monkeypatch.setattr(signal, "alarm", alarms.append)
    with mine.watched():
        mine._process = os.getpid() + 1  # as it is in a fork
        for number in SIGNALS:
            send(number)
        assert mine.received is None and len(alarms) == 1


RANK = """
import signal, sys, time
rank, report, how = int(sys.argv[1]), sys.argv[2], sys.argv[3]
def end(number, frame):
    open(report, "w").write(f"rank {rank} saved")
    sys.exit(99 if number == signal.SIGUSR1 else 128 + number)
for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP): signal.signal(number, end)
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("ready", flush=True)
if how == "says" and rank: open(report, "w").write("what is wrong"); sys.exit(2)
if how == "crashes" and rank: import os; os.kill(os.getpid(), signal.SIGSEGV)
if how == "fails" and rank: sys.exit(7)
if how == "ends": sys.exit()
time.sleep(60)
"""


@pytest.fixture
def spawn(tmp_path, monkeypatch):
    """`spawn` with two ranks that act as told; the parent gets a signal while it waits, or once both have ended by themselves."""
    started, popen, wait = [], subprocess.Popen, time.sleep

    def spawn(how, number=None):
        def begin(command, env):
            command = [sys.executable, "-S", "-c", RANK, env["RANK"], command[-1], how]
            started.append(popen(command, stdout=subprocess.PIPE))
            started[-1].stdout.readline()  # its handlers are set
            if how == "ends" and number is not None and len(started) == 2:
                for process in started:
                    process.wait()
                send(number)
            return started[-1]

        def sleep(seconds):
            if number is not None and interruption.received is None:
                send(number)
            wait(seconds)

        monkeypatch.setattr(spawning.subprocess, "Popen", begin)
        monkeypatch.setattr(spawning.time, "sleep", sleep)
        monkeypatch.setattr(spawning, "ENDING", 0.2)
        try:
            with interruption.watched():
                spawning.spawn(tmp_path, 2)
        finally:
            assert len(started) == 2 and all(process.poll() is not None for process in started)
            for process in started:
                process.stdout.close()

    return spawn


@pytest.mark.parametrize(("number", "code"), CODES.items())
def test_a_signal_to_the_parent_reaches_the_ranks(spawn, number, code):
    """Ctrl-C in a terminal reaches them by itself; one to the parent alone is passed on as SIGTERM."""
    with pytest.raises(Interrupted) as raised:
        spawn("saves", number)
    assert raised.value.code == code and str(raised.value) == "rank 0 saved"


def test_what_a_rank_says_is_said_by_the_parent(spawn):
    with pytest.raises(UserError, match=r"^rank 1: what is wrong$"):
        spawn("says")


@pytest.mark.parametrize(("how", "code", "said"), [("crashes", 128 + signal.SIGSEGV, "SIGSEGV"), ("fails", 7, "exit code 7")])
def test_a_rank_that_fails_is_named(spawn, how, code, said):
    with pytest.raises(RankFailed, match=rf"rank 1 of 2.*{said}") as raised:
        spawn(how)
    assert raised.value.code == code


def test_ranks_that_end_end_the_wait(spawn):
    spawn("ends")


def test_a_signal_as_the_ranks_end_still_stops(spawn):
    """The next job of a sweep must not start."""
    with pytest.raises(Interrupted, match="had ended"):
        spawn("ends", signal.SIGTERM)


CHILD = """
import os, signal, sys, time
from framework.workflows.spawning import watch_parent
signal.signal(signal.SIGTERM, lambda *_: (print("saved", flush=True), os._exit(0)))
watch_parent(int(sys.argv[1]))
print("watches", flush=True)
time.sleep(60)
"""
PARENT = """
import os, subprocess, sys
subprocess.Popen([sys.executable, "-c", sys.argv[1], str(os.getpid())]).wait()
"""


def test_a_rank_ends_with_its_parent():
    with subprocess.Popen([sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout.readline() == "watches\n"
        parent.kill()
        assert parent.stdout.readline() == "saved\n"
        assert parent.stdout.read() == ""  # nobody holds it any more


def test_a_rank_finds_modules_where_its_parent_does(tmp_path, monkeypatch):
    """Files of the current folder do not shadow them; the user's PYTHONPATH is kept, variables of SLURM are not handed on."""
    for name in ("random.py", "torch.py", "framework.py", "mine.py"):
        (tmp_path / name).write_text("raise SystemExit('shadowed')")
    (tmp_path / "path").mkdir()
    (tmp_path / "path/theirs.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))
    monkeypatch.setenv("SLURM_NTASKS", "1")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "path")])
    look = "import framework, random, theirs, os; from importlib.util import find_spec"
    look += "; print(find_spec('mine'), 'path' in os.environ['PYTHONPATH'], 'SLURM_NTASKS' in os.environ, os.environ['RANK'])"
    monkeypatch.setattr(spawning, "_CODE", f"import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); {look}")
    for number, (command, environment) in enumerate(zip(*spawning._ranks(tmp_path, 2, tmp_path), strict=True)):
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert (done.stdout, done.stderr) == (f"None True False {number}\n", "")
