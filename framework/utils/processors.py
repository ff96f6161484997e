"""Capabilities of the processor."""

import os
from functools import cache

import torch

# Values of oneDNN's variable ONEDNN_MAX_CPU_ISA with which it uses no instructions for bfloat16.
_WITHOUT = {"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX512_CORE", "AVX512_CORE_VNNI"}


@cache
def multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for products of bfloat16 (AVX-512 BF16, AMX), and oneDNN uses them. Without them such products
    take several times as long as in float32. oneDNN itself also computes them with AVX-512 alone, by way of float32; the environment
    variable ONEDNN_MAX_CPU_ISA keeps it from instructions."""
    if os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() in _WITHOUT or not (torch.backends.mkldnn.is_available() and onednn_multiplies()):
        return False
    known = torch.cpu.get_capabilities()
    return known.get("architecture") != "x86_64" or bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def onednn_multiplies() -> bool:
    """Whether oneDNN has products of bfloat16 for this processor, of whatever speed."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
