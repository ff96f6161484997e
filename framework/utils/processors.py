"""Capabilities of the processor."""

from functools import cache

import torch


@cache
def multiplies_bfloat16() -> bool:
    """Whether oneDNN has products of bfloat16 matrices for this processor. Without them they take several times as long as in float32."""
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
