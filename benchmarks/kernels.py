"""python benchmarks/kernels.py [bfloat16]: CPU-milliseconds of a forward and backward pass of each attention kernel, one thread.

The table from which `framework/parts/attention/kernels.py` chooses. Each line is a shape of a task; kernels take turns, the figure is the
median of their turns. `*` marks the kernel that is chosen. The second table is of packed rows: the dense mask against a call a document,
by the length of documents.
"""

import os
import statistics
import sys
import time
from functools import partial
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))  # run from anywhere

import torch  # noqa: E402 - the number of threads is read at import
from torch import Tensor  # noqa: E402

from framework.parts.attention.kernels import by_document, choose, fused, products  # noqa: E402
from framework.parts.masks import Mask  # noqa: E402
from framework.utils.processors import multiplies_bfloat16  # noqa: E402

# rows, tokens, features of a head, whether causal; four heads
SHAPES = [
    (140, 14, 64, False),  # captions
    (140, 14, 64, True),
    (64, 16, 32, False),  # short reviews
    (64, 64, 32, False),
    (12, 64, 32, True),  # a small GPT
    (16, 128, 32, True),
    (4, 256, 32, True),
    (2, 512, 64, True),
    (1, 1024, 64, True),
]
# rows, tokens, tokens of a document
PACKED = [
    (8, 128, 16),
    (8, 128, 64),
    (4, 256, 32),
    (4, 256, 128),
    (1, 1024, 16),
    (1, 1024, 128),
    (1, 2048, 256),
]  # rows, tokens, a document
HEADS, TURNS = 4, 5


def turns(calls: list[partial[Tensor]], leaves: list[Tensor]) -> list[float]:
    """Median CPU-milliseconds of each call with its backward pass."""

    def once(call: partial[Tensor], times: int) -> float:
        begin = time.process_time()
        for _ in range(times):
            torch.autograd.grad(call().sum(), leaves)
        return (time.process_time() - begin) / times * 1000

    times = max(1, round(20 / max(once(call, 1) for call in calls)))
    return [statistics.median(column) for column in zip(*([once(call, times) for call in calls] for _ in range(TURNS)), strict=True)]


def inputs(rows: int, tokens: int, width: int, dtype: torch.dtype) -> list[Tensor]:
    return [torch.randn(rows, tokens, HEADS, width, dtype=dtype).transpose(1, 2).requires_grad_() for _ in range(3)]


def lengths(dtype: torch.dtype) -> None:
    print(f"\n| {str(dtype)[6:]}: rows x tokens, features of a head | dropout | fused | products |\n| --- | --- | --- | --- |")
    for rows, tokens, width, causal in SHAPES:
        given = inputs(rows, tokens, width, dtype)
        mask = Mask(tokens, tokens, causal, None if causal else torch.ones(rows, tokens, dtype=torch.bool))
        for rate in (0.0, 0.1):
            chosen = choose(given[0], mask, rate)
            found = turns([partial(kernel, *given, mask, rate) for kernel in (fused, products)], given)
            cells = [f"{value:.2f}{' *' if kernel is chosen else ''}" for kernel, value in zip((fused, products), found, strict=True)]
            print(f"| {rows} x {tokens}, {width}, {'causal' if causal else 'padding'} | {rate} | {' | '.join(cells)} |", flush=True)


def packed(dtype: torch.dtype) -> None:
    print(f"\n| {str(dtype)[6:]}: rows x tokens of a document | dropout | dense mask | by document |\n| --- | --- | --- | --- |")
    for rows, tokens, length in PACKED:
        given = inputs(rows, tokens, 32, dtype)
        documents = torch.arange(tokens).div(length, rounding_mode="floor").expand(rows, -1)
        mask = Mask(tokens, tokens, causal=True, documents=(documents, documents))
        dense = Mask(tokens, tokens, causal=True, documents=(documents, documents.clone()))
        for rate in (0.0, 0.1):
            calls = [partial(choose(given[0], dense, rate), *given, dense, rate), partial(by_document, *given, mask, rate)]
            found = turns(calls, given)
            chosen = choose(given[0], mask, rate) is by_document
            cells = f"{found[0]:.2f}{'' if chosen else ' *'} | {found[1]:.2f}{' *' if chosen else ''}"
            print(f"| {rows} x {tokens} of {length} | {rate} | {cells} |", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(f"{torch.backends.cpu.get_cpu_capability()}, products of bfloat16 in hardware: {multiplies_bfloat16()}")
    chosen_dtype = getattr(torch, sys.argv[1] if len(sys.argv) > 1 else "float32")
    lengths(chosen_dtype)
    packed(chosen_dtype)
