"""The process that holds the lock of a run, identified by host, process id and start time, and whether it is alive."""

import os
import socket
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True)
class Holder:
    """A process that trains in a folder. table: scope of its process id (`process_table`). started: its start in ticks since the boot;
    empty where the system does not say. since: time at which it took the lock."""

    host: str
    table: str
    pid: int
    started: str
    since: str

    @classmethod
    def this(cls) -> "Holder":
        """This process."""
        pid = os.getpid()
        return cls(socket.gethostname(), process_table(), pid, start_of(pid) or "", f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


def process_table() -> str:
    """Identifier of the scope in which a process id is unique: machine, boot and namespace. Empty where the system does not say."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return "" if sys.platform == "win32" else socket.gethostname()


def is_alive(holder: Holder) -> bool:
    """Whether it is a process of this table that lives; False also where that cannot be told."""
    return holder.table == process_table() and holder.started != "" and start_of(holder.pid) == holder.started


def is_gone(holder: Holder) -> bool:
    """Whether no process has the id, or another one than the holder."""
    if holder.started:
        return start_of(holder.pid) != holder.started
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def start_of(pid: int) -> str | None:
    """The start of a process in ticks since the boot; None if there is no such process, or it has ended, or the system does not say."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if state in ("Z", "X") else fields[18]
