"""A trained task that another one uses and nobody trains: the teacher of distillation, the reference of a preference loss."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from framework.utils.recording import nothing_recorded


class FrozenTask:
    """Holds a task in evaluation mode and without gradients. It is a plain object: no checkpoint, optimizer, weight average or wrapper of
    its user has the task's weights, and copies of its user share it.

    load: returns the task; called when it is first used.
    """

    def __init__(self, load: Callable[[], nn.Module]):
        self._load, self._task = load, None  # type: tuple[Callable[[], nn.Module], nn.Module | None]

    def __deepcopy__(self, memo: dict[int, Any]) -> "FrozenTask":
        return self

    @property
    def task(self) -> Any:
        if self._task is None:
            self._task = self._load().eval().requires_grad_(False)
        return self._task

    @contextmanager
    def used_by(self, user: nn.Module) -> Iterator[Any]:
        """The task, on the device and with the dtype of its user; meanwhile no gradients, and no auxiliary losses or figures."""
        like, own = next(user.parameters()), next(self.task.parameters())
        if (own.device, own.dtype) != (like.device, like.dtype):
            self.task.to(like.device, like.dtype)
        with torch.no_grad(), nothing_recorded():
            yield self.task
