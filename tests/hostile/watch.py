"""One case in a process of its own, under an audit hook and limits: what ran, what was written elsewhere, and what it cost.

https://docs.python.org/3/library/audit_events.html
"""

import contextlib
import io
import json
import os
import resource
import shutil
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.hostile.changes import Case
from tests.hostile.opening import WAYS, verdict

CPU_SECONDS, MEMORY = 20, 1 << 30
_STARTS = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.fork",
    "pty.spawn",
    "subprocess.Popen",
    "socket.connect",
    "socket.bind",
)
_ALLOWED = ("collections OrderedDict", "torch._utils _rebuild_tensor_v2")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Watch:
    """The audit hook. folder: the hostile one. allowed: folders that may be written in."""

    def __init__(self, folder: Path, allowed: list[Path]):
        self.folder, self.allowed, self.on = str(folder), [path.resolve() for path in allowed], True
        self.found: list[str] = []

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        self.on = False  # what the hook does itself is not watched
        try:
            if said := self._said(event, arguments):
                self.found.append(f"{event}: {said}")
        finally:
            self.on = True

    def _said(self, event: str, arguments: tuple[Any, ...]) -> str:
        first = arguments[0] if arguments else None
        if event in _STARTS or event.startswith(("ctypes.dlopen", "winreg")) and self.folder in str(first):
            return repr(arguments)[:200]
        if event in ("compile", "exec", "import") and self.folder in f"{first!r} {arguments[1:2]!r}"[:10_000]:
            return repr(arguments)[:200]
        if event == "pickle.find_class" and " ".join(map(str, arguments)) not in _ALLOWED:
            return repr(arguments)
        if event == "open" and isinstance(first, (str, bytes)) and isinstance(arguments[2], int) and arguments[2] & _WRITES:
            return self._outside(first)
        if event in ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.link", "os.truncate", "os.chmod", "shutil.rmtree"):
            if event in ("os.remove", "os.rmdir") and arguments[1] != -1:
                return ""  # a name in an open folder: what `shutil.rmtree` removes, which is told with its whole path
            names = [name for name in arguments[:2] if isinstance(name, (str, bytes, Path))]
            return next((said for name in (names[-1:] if event == "os.symlink" else names) if (said := self._outside(name))), "")
        return ""

    def _outside(self, name: Any) -> str:
        """The place that is written, if it is none of those allowed once links are followed."""
        place = Path(os.path.realpath(os.fsdecode(name)))
        return "" if str(place) == os.devnull or any(place.is_relative_to(path) for path in self.allowed) else str(place)


def prepared(case: Case, good: Mapping[str, Path], root: Path) -> Path:
    """A copy of the good folder of a case, with its change."""
    folder = root / "theirs" / "folder"
    shutil.copytree(good[case.base], folder, symlinks=True)
    case.change(folder)
    return folder


def run_case(case: Case, good: Mapping[str, Path], root: Path, cache: Path) -> dict[str, Any]:
    """Outcome of a case: `verdicts` by way, `broken`, `cpu` seconds, `memory` beyond that of the process before, in bytes."""
    folder = prepared(case, good, root)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        _in_child(case, folder, root, cache, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    _, status, used = os.wait4(child, 0)
    outside, ran = root / "theirs" / "outside", root / "theirs" / "ran"
    found: dict[str, Any] = json.loads(told) if told else {"verdicts": {}, "broken": [], "memory": 0}
    if status or not told:
        found["broken"].append(f"the process ended with status {status}")
    found["cpu"] = used.ru_utime + used.ru_stime
    if ran.exists():
        found["broken"].append("something ran")
    found["broken"] += [
        f"{path} was written" for path in outside.rglob("*") if path.name != "best.ckpt" and path.is_file() and path.stat().st_size
    ]
    return found


def _in_child(case: Case, folder: Path, root: Path, cache: Path, pipe: int) -> None:
    """Opens the folder in every way and writes what happened; never returns."""
    status = 1
    try:
        os.chdir(root)
        before = _status("VmRSS")
        limit = _status("VmSize") + 2 * MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS + 5, CPU_SECONDS + 5))
        exports = [folder.parent]
        watch = Watch(folder, [root / "own", cache] if case.kind == "resumed" else [root / "own", cache, *exports])
        sys.addaudithook(watch)
        verdicts, said = {}, io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            for way in WAYS[case.kind]:
                verdicts[way.__name__] = verdict(way, folder)
        watch.on = False
        broken = [*watch.found, *(f"{way}: {found}" for way, found in verdicts.items() if found not in ("opened", "refused"))]
        if "Traceback (most recent call last)" in said.getvalue():
            broken.append("a traceback was printed")
        memory = max(0, _status("VmHWM") - before)
        os.write(pipe, json.dumps({"verdicts": verdicts, "broken": broken, "memory": memory}).encode())
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _status(name: str) -> int:
    """A size of this process, in bytes: https://man7.org/linux/man-pages/man5/proc_pid_status.5.html"""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    return 0


def judged(case: Case, found: Mapping[str, Any]) -> list[str]:
    """Deviations of the outcome of a case from what is right."""
    wrong = list(found["broken"])
    first = next(iter(found["verdicts"].values()), "")
    if first != ("opened" if case.opens else "refused"):
        wrong.append(f"it was {first}, and must be {'opened' if case.opens else 'refused'}")
    if found["memory"] > MEMORY:
        wrong.append(f"{found['memory'] >> 20:,} MB")
    if found["cpu"] > CPU_SECONDS:
        wrong.append(f"{found['cpu']:.0f} CPU-seconds")
    return wrong
