"""Computing and memory of training: FLOPs of a batch, the most that a device can do, peak memory."""

import sys
from typing import Any

import torch
from torch import nn

from framework.data.formats import Batch
from framework.generation.engine import evaluating
from framework.utils.recording import nothing_recorded

# Most FLOP/s of dense products, from NVIDIA's data sheets: in 16 bits with sums in float32, and in float32 without TF32. The first name
# that the device's name contains counts.
_PEAKS = (
    ("H200", 989e12, 67e12),
    ("H100 PCIe", 756e12, 51e12),
    ("H100 NVL", 835e12, 60e12),
    ("H100", 989e12, 67e12),
    ("A100", 312e12, 19.5e12),
    ("L40S", 362e12, 91.6e12),
    ("L4", 121e12, 30.3e12),
    ("A10G", 70e12, 31.2e12),
    ("A10", 125e12, 31.2e12),
    ("V100", 125e12, 15.7e12),
    ("T4", 65e12, 8.1e12),
)


class FlopCount:
    """Counts the FLOPs of the matrix products and attentions in the forward pass of a task, inside the block, with torch's counter."""

    def __init__(self) -> None:
        from torch.utils.flop_counter import FlopCounterMode

        aten: Any = torch.ops.aten
        self._counter = FlopCounterMode(display=False, custom_mapping={aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops})

    def __enter__(self) -> "FlopCount":
        self._counter.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._counter.__exit__(*error)

    def training(self, task: nn.Module) -> float:
        """The FLOPs of a training step: those counted, once more for the gradients of activations, and once more for those of the share of
        the parameters that is trained. Without recomputed activations and the optimizer. Kaplan et al. 2020, section 2.1,
        https://arxiv.org/abs/2001.08361
        """
        parameters = list(task.parameters())
        share = sum(each.numel() for each in parameters if each.requires_grad) / max(1, sum(each.numel() for each in parameters))
        return float(self._counter.get_total_flops()) * (2 + share)


def forward_uncompiled(task: nn.Module, batch: Batch) -> Any:
    """The result of a compiled task, operation by operation as a counter sees it, in a forward pass that changes nothing."""
    with evaluating(task), torch.no_grad(), nothing_recorded():
        return nn.Module._call_impl(task, batch)  # type: ignore[attr-defined]


def _attention_flops(*shapes: Any, out_shape: Any = None, **options: Any) -> int:
    """The FLOPs of torch's attention on CPUs, which the counter does not know. shapes: of queries, keys and values, and other arguments."""
    from torch.utils.flop_counter import sdpa_flop_count

    return int(sdpa_flop_count(*shapes[:3]))


def peak_flops(device: torch.device, precision: str) -> float | None:
    """The most FLOP/s of a device; None where that is not known."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    half = str(precision).startswith(("16", "bf16"))
    return next(((in_16_bits if half else in_32) for key, in_16_bits, in_32 in _PEAKS if key in name), None)


def peak_memory(device: torch.device) -> dict[str, float]:
    """Peak memory in MiB: of a GPU since the last call, elsewhere of the process since its start; nothing where that is not known."""
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        return {"train/memory_mib": peak / 2**20}
    try:
        import resource
    except ImportError:  # Windows
        return {}
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"train/memory_mib": most / (2**20 if sys.platform == "darwin" else 2**10)}
