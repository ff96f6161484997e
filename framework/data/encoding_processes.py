"""Encoding by several processes, with the same result as by one.

Rows are read here, and encoded a thousand at a time by forked processes, each chunk into files of its own, which are appended here in the
order of the rows. A chunk with a row that cannot be encoded is encoded again here, row by row, so that the first such row is the error,
as without other processes.
"""

import multiprocessing
import os
import shutil
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from pickle import PicklingError
from typing import Any

from framework.data.sources.base import LocatedRow
from framework.errors import UserError

CHUNK = 1000  # rows
CHARACTERS = 1 << 15  # of a chunk, in memory three times at most for each process
ALONE = 4  # chunks that this process encodes itself; starting others would take as long
MOST = 8  # processes: more than that wait for the one that reads

Chunk = list[LocatedRow]
EncodeChunk = Callable[[Chunk, Path], Any]  # into a folder; returns what can be pickled


def chunks_of(rows: Iterable[LocatedRow], size: int) -> Iterator[Chunk]:
    """Chunks of rows, of fewer than `size` where texts are long. UserError of the rows: after those that were read before it."""
    chunk: Chunk = []
    characters = 0
    failure: UserError | None = None
    rows = iter(rows)
    while failure is None:
        try:
            located = next(rows, None)
        except UserError as error:
            located, failure = None, error
        if located is not None:
            chunk.append(located)
            characters += sum(len(value) for value in located[0].values() if isinstance(value, str))
        if chunk and (located is None or len(chunk) == size or characters >= CHARACTERS):
            yield chunk
            chunk, characters = [], 0
        if located is None:
            break
    if failure is not None:
        raise failure


def processes_to_use() -> int:
    """The number of cores of this process; 1 where it cannot be forked safely, or is itself a process of a pool."""
    if sys.platform != "linux" or multiprocessing.current_process().daemon:
        return 1
    return min(MOST, len(os.sched_getaffinity(0)))


class Encoders:
    """Processes that encode chunks of rows, each into a folder of its own. Used as a context; they end with it, and with this process."""

    def __init__(self, encode: EncodeChunk, processes: int, folder: Path):
        self.encode, self.processes, self.within = encode, processes, folder
        self.started: list[tuple[BaseProcess, Connection]] = []

    def __enter__(self) -> "Encoders":
        self.folder = Path(tempfile.mkdtemp(prefix="rows-", dir=self.within))
        fork = multiprocessing.get_context("fork")
        for number in range(self.processes):
            ours, theirs = fork.Pipe()
            others = [ours, *(connection for _, connection in self.started)]
            process = fork.Process(target=_serve, args=(theirs, others, self.encode, self.folder / str(number)), daemon=True)
            process.start()
            theirs.close()
            self.started.append((process, ours))
        return self

    def __exit__(self, *_: Any) -> None:
        for process, connection in self.started:
            connection.close()
            process.kill()  # a handler of SIGTERM that it has from this process would wait
            process.join()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __call__(self, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, Path, Any]]:
        """Each chunk in order, the folder that it was encoded into and what `encode` returned; None where that failed."""
        waiting: deque[tuple[int, Chunk, bool]] = deque()
        failure: UserError | None = None
        chunks, number = iter(chunks), 0
        while True:
            try:
                chunk = next(chunks, None) if failure is None else None
            except UserError as error:  # of a row that comes after those that wait
                chunk, failure = None, error
            if waiting and (chunk is None or len(waiting) == self.processes):
                yield self._result(*waiting.popleft())
            if chunk is not None:
                waiting.append((number, chunk, self._send(number, chunk)))
                number += 1
            elif not waiting:
                break
        if failure is not None:
            raise failure

    def _send(self, number: int, chunk: Chunk) -> bool:
        """Whether a process has got the chunk. Values of a source that cannot be pickled are encoded here, as if it had failed."""
        try:
            self.started[number % self.processes][1].send(chunk)
        except (PicklingError, TypeError, AttributeError, OSError):
            return False
        return True

    def _result(self, number: int, chunk: Chunk, sent: bool) -> tuple[Chunk, Path, Any]:
        process = number % self.processes
        try:
            return chunk, self.folder / str(process), self.started[process][1].recv() if sent else None
        except (EOFError, OSError):  # it was killed
            return chunk, self.folder / str(process), None


def _serve(connection: Connection, others: list[Connection], encode: EncodeChunk, folder: Path) -> None:
    """Encodes what arrives, until the other end is closed."""
    for other in others:
        other.close()  # a copy of the other end would keep this process alive
    while True:
        try:
            chunk = connection.recv()
        except (EOFError, OSError):
            return
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            result = encode(chunk, folder)
        except Exception:  # noqa: BLE001 - the process that asked encodes these rows again, and raises it
            result = None
        connection.send(result)
