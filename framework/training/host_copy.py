"""Numbers of a device in the memory of the host."""

import torch
from torch import Tensor


class HostCopy:
    """A copy of numbers (N,) of a device, which waits for the device when it is read and not when it is made: what the device has been
    asked for since then goes on meanwhile."""

    def __init__(self, values: Tensor):
        self.copied: torch.Event | None = None
        self.values = values
        if values.device.type == "cuda":
            self.values = values.to("cpu", non_blocking=True)  # into pinned memory
            self.copied = torch.Event(device=values.device)
            self.copied.record()

    def read(self) -> list[float]:
        if self.copied is not None:
            self.copied.synchronize()
        return list(self.values.tolist())
