"""Base class of the contract tests of parts that are not modules of a model: optimizers, schedules, callbacks, ..."""

import io
from typing import Any, ClassVar

import torch

from framework import registry
from framework.registry import Part
from framework.testing.promise import BrokenPromise


class KindPromises:
    """Contract tests of a part.

    part: `KIND/NAME`, or a Part with values.
    """

    part: ClassVar[Part | str]

    def with_values(self, **values: Any) -> Part:
        """The part, with further values for those of its options that it has."""
        part = Part(self.part) if isinstance(self.part, str) else self.part
        return Part(part.target, **{**part.values, **{name: value for name, value in values.items() if self.has(name)}})

    def has(self, *options: str) -> bool:
        """Whether the part has these options."""
        part = Part(self.part) if isinstance(self.part, str) else self.part
        return set(options) <= set(registry.signature(part.cls).fields)


def require(holds: Any, message: str) -> None:
    """BrokenPromise: the condition does not hold. The message begins with the name of the promise."""
    if not holds:
        raise BrokenPromise(message)


def saved_and_loaded(state: Any, promise: str) -> Any:
    """A state as a checkpoint gives it back. BrokenPromise: a checkpoint cannot hold it, as it is not of tensors and plain values."""
    file = io.BytesIO()
    try:
        torch.save(state, file)
        file.seek(0)
        return torch.load(file, weights_only=True)
    except Exception as error:
        raise BrokenPromise(f"{promise}: a checkpoint holds tensors and plain values, and this state does not load: {error}") from error


def equal(one: Any, other: Any) -> bool:
    """Whether two states of tensors and plain values are equal, bit for bit; NaN equals NaN."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.shape == other.shape and one.dtype == other.dtype and torch.equal(one.nan_to_num(), other.nan_to_num())
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other or (one != one and other != other))
