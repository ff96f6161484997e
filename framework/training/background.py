"""Work in a thread while training goes on: one task at a time, whose error is raised where the next one is asked for."""

import threading
from collections.abc import Callable, MutableMapping
from copy import copy
from typing import Any

from torch import Tensor


class Background:
    """A thread for each task; a second task waits for the first. At the end of the process the last one is finished first."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def start(self, task: Callable[[], None]) -> None:
        """Starts a task when the one before has ended. Raises the error of that one."""
        self.wait()
        self._thread = threading.Thread(target=self._run, args=(task,), name="background")
        self._thread.start()

    def wait(self) -> None:
        """Waits for the task. Raises its error, once."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    def check(self) -> None:
        """Raises the error of a task that has ended; waits for none."""
        if self._error is not None:
            self.wait()

    def _run(self, task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException as error:  # noqa: BLE001 - raised by `wait`
            self._error = error


def host_copy(value: Any, _known: dict[Any, Tensor] | None = None) -> Any:
    """A copy of nested dicts, lists and tuples whose tensors are copied to main memory; tensors that are one in the value are one in the
    copy."""
    known: dict[Any, Tensor] = {} if _known is None else _known
    if isinstance(value, Tensor):
        key = value.device, value.data_ptr(), value.shape, value.stride(), value.dtype
        if not value.numel():
            return value.detach().to("cpu", copy=True)
        if key not in known:
            known[key] = value.detach().to("cpu", copy=True)
        return known[key]
    if isinstance(value, MutableMapping):
        copied = copy(value)  # of its type
        copied.update({name: host_copy(each, known) for name, each in value.items()})
        return copied
    if type(value) in (list, tuple):
        return type(value)(host_copy(each, known) for each in value)
    return value
