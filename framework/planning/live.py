"""Bytes of tensors that are alive, by the module that made them."""

import gc
import weakref
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode

from framework.parts.layers import CrossLayer, Layer


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all tensors that operations inside the block make, until they are freed.

    modules: module -> name of its part. by_part: bytes that are alive, by the part under way when they were made. peak: the most bytes at
    once. recomputes: whether the backward pass has begun, in which layers may run again.
    """

    def __init__(self, modules: Mapping[nn.Module, str]):
        super().__init__()
        self.modules = modules
        self.by_part: Counter[str] = Counter()
        self.live = self.peak = 0
        self.recomputes = self._recomputed = False
        self._known: set[int] = set()
        self._under_way: list[str] = ["task"]

    @contextmanager
    def counting(self, known: Sequence[Tensor]) -> Iterator["LiveBytes"]:
        """known: tensors that are there already (weights, the batch)."""
        self._known = {tensor.untyped_storage()._cdata for tensor in known}
        before = register_module_forward_pre_hook(lambda module, _: self._enter(module))
        after = register_module_forward_hook(lambda *_: self._leave())
        gc.freeze()  # what is there already is not looked at again
        try:
            with self:
                yield self
        finally:
            gc.unfreeze()
            before.remove()
            after.remove()

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for tensor in found if isinstance(found, (tuple, list)) else (found,):
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage())
        return found

    def _enter(self, module: nn.Module) -> None:
        self._under_way.append(self.modules.get(module, self._under_way[-1]))
        if self.recomputes and isinstance(module, (Layer, CrossLayer)):
            self._recomputed = True

    def _leave(self) -> None:
        if len(self._under_way) > 1:  # not after such an exception
            self._under_way.pop()

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size, part = storage._cdata, storage.nbytes(), self._under_way[-1]
        if key in self._known or not size:
            return
        self._known.add(key)
        if self._recomputed and self.live + size > self.peak:
            gc.collect()  # a recomputation ends by an exception, whose traceback keeps the tensors of its frames
        self.live += size
        self.by_part[part] += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._free, key, size, part)

    def _free(self, key: int, size: int, part: str) -> None:
        self._known.discard(key)
        self.live -= size
        self.by_part[part] -= size
