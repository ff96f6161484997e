"""Operations that wait for a GPU, counted where there is none."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
READS = (aten._local_scalar_dense, aten.nonzero, aten.masked_select, aten.equal, aten.bincount, aten._unique2, aten.is_nonzero)
COPIES = (aten.lift_fresh, aten.lift_fresh_copy)  # `torch.tensor` of Python numbers: on a GPU a copy that is waited for
INDEXES = (aten.index, aten.index_put, aten.index_put_, aten._unsafe_index, aten._unsafe_index_put)


class Waits(TorchDispatchMode):
    """Counts the operations, by name, whose result the processor reads or whose input it copies; on a GPU each of them waits for all that
    it has been asked for. They are those whose output has a shape that depends on values, `item` in all its forms, and tensors that are
    made of Python numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        packet = func.overloadpacket
        if packet in (*READS, *COPIES) or (packet is aten.repeat_interleave and not (kwargs or {}).get("output_size")):
            self.counts[str(packet)] += 1
        elif packet in INDEXES and any(isinstance(index, Tensor) and index.dtype == torch.bool for index in args[1]):
            self.counts[f"{packet} by booleans"] += 1
        return func(*args, **(kwargs or {}))
