"""Standard streams that cannot be written: a run does not mind, a command whose output was asked for says so."""

import errno
import io
import os
import sys

import pytest

from framework.errors import UserError
from framework.utils.json_text import to_json
from framework.utils.streams import demanded_output, tell, unbroken_output


class Refusing(io.TextIOWrapper):
    """A stream on a file of its own, whose writing fails."""

    def __init__(self, path, number):
        super().__init__(open(path, "wb"), encoding="utf-8")
        self.number, self.asked = number, 0

    def flush(self):
        self.asked += 1
        raise OSError(self.number, os.strerror(self.number))

    def write(self, text):
        self.flush()


@pytest.fixture(params=[errno.ENOSPC, errno.EPIPE], ids=["full", "reader gone"])
def refusing(request, tmp_path, monkeypatch):
    """Puts a stream that refuses in the place of both; called in the test, since pytest has its own before."""

    def put():
        stream = Refusing(tmp_path / "stream", request.param)
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", stream)
        return stream

    return put


def test_a_run_goes_on(refusing):
    stream = refusing()
    with unbroken_output():
        print("trained", flush=True)
        print("warned", file=sys.stderr)
        done = True
    assert done and stream.asked
    tell("the end")
    assert os.readlink(f"/proc/self/fd/{stream.fileno()}") == os.devnull if os.path.exists("/proc/self/fd") else True


def test_a_command_says_so_unless_its_reader_has_gone(refusing):
    stream = refusing()
    if stream.number == errno.EPIPE:
        with demanded_output():
            print("answer")
    else:
        with pytest.raises(UserError, match="disk is full"), demanded_output():
            print("answer")


def test_other_errors_pass():
    with pytest.raises(OSError, match="gone"), demanded_output():
        raise FileNotFoundError(errno.ENOENT, "gone", "x")
    with pytest.raises(OSError, match="invalid"), demanded_output():
        raise OSError(errno.EINVAL, "invalid")


def test_a_closed_stream(monkeypatch, tmp_path):
    with open(tmp_path / "x", "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
    with unbroken_output():
        print("trained")


def test_json_that_every_program_reads():
    value = {"a": float("nan"), "b": [float("-inf"), 1.5, ("é", None)], "c": "\ud83d", "d": {"e": 1}}
    assert to_json(value) == '{"a": null, "b": [null, 1.5, ["é", null]], "c": "\\ud83d", "d": {"e": 1}}'
    assert to_json("é", ascii_only=True) == '"\\u00e9"'
