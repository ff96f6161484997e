"""Ideas for a cheaper step, each beside what is done now: `python benchmarks/output_layer.py [qkv] [loss] [pad]`.

Forward and backward pass in float32, one thread, CPU-milliseconds, median of 15 interleaved pairs; no model around it.

qkv: one map for queries, keys and values, split afterwards, beside three maps. The shapes of step.py: rows of tokens, features.
loss: output layer and cross entropy over chunks of 256 targets, each with its gradients at once (no matrix of all logits), beside both
    at once.
pad: output layer and cross entropy of a vocabulary that is no multiple of 64, beside those of one padded to a multiple, and cut.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))  # run from anywhere

import torch  # noqa: E402 - the number of threads is read at import
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from framework.parts.embeddings import Tokens  # noqa: E402

PAIRS, CHUNK = 15, 256
Run = Callable[[], Any]


def compare(what: str, now: Run, idea: Run, times: int) -> None:
    """Prints the CPU-milliseconds of both, and the median ratio of the pairs."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for pair in range(PAIRS + 1):
        for run, kept in zip((now, idea), seconds, strict=True):
            begin = time.process_time()
            for _ in range(times):
                run()
            kept.append((time.process_time() - begin) / times * 1000)
        if not pair:  # warms up
            seconds[0].clear(), seconds[1].clear()
    ratios = sorted(two / one for one, two in zip(*seconds, strict=True))
    before, after = map(statistics.median, seconds)
    print(f"| {what} | {before:.2f} | {after:.2f} | {statistics.median(ratios):.3f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) |", flush=True)


def qkv() -> None:
    for name, rows, length, dim, heads, bias in (
        ("translation", 140, 14, 256, 4, True),
        ("classification", 32, 64, 128, 4, True),
        ("completion", 12, 64, 128, 4, False),
    ):
        three, one = nn.ModuleList(nn.Linear(dim, dim, bias=bias) for _ in range(3)), nn.Linear(dim, 3 * dim, bias=bias)
        x = torch.randn(rows, length, dim, requires_grad=True)

        def attend(parts: Any, x: Tensor = x, heads: int = heads) -> None:
            query, key, value = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in parts)
            functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2).sum().backward()
            x.grad = None

        def separate(three: Any = three, x: Tensor = x, attend: Any = attend) -> None:
            attend([linear(x) for linear in three])
            three.zero_grad()

        def fused(one: Any = one, x: Tensor = x, attend: Any = attend) -> None:
            attend(one(x).chunk(3, dim=-1))
            one.zero_grad()

        compare(f"one map for queries, keys, values: {name}, {rows} x {length}, {dim}", separate, fused, 10)


class Chunked(torch.autograd.Function):
    """Sum of the cross entropies of hidden (N, D) at targets (N,) with a table (V, D); the gradients are computed with the losses."""

    @staticmethod
    def forward(context: Any, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        loss, to_hidden, to_weight = hidden.new_zeros(()), torch.empty_like(hidden), torch.zeros_like(weight)
        for begin in range(0, len(hidden), CHUNK):
            part, wanted = hidden[begin : begin + CHUNK], targets[begin : begin + CHUNK, None]
            logits = part @ weight.T
            logits -= logits.logsumexp(-1, keepdim=True)
            loss -= logits.gather(1, wanted).sum()
            probabilities = logits.exp_()
            probabilities.scatter_add_(1, wanted, probabilities.new_full((1, 1), -1.0).expand_as(wanted))
            torch.mm(probabilities, weight, out=to_hidden[begin : begin + CHUNK])
            to_weight.addmm_(probabilities.T, part)
        context.save_for_backward(to_hidden, to_weight)
        return loss

    @staticmethod
    def backward(context: Any, upstream: Tensor) -> Any:  # type: ignore[override]
        to_hidden, to_weight = context.saved_tensors
        return to_hidden * upstream, to_weight * upstream, None


SHAPES = (("translation", 2000, 256, 6000), ("completion", 768, 128, 66), ("long completion", 1024, 128, 6000))


def loss() -> None:
    for name, count, dim, vocabulary in SHAPES:
        hidden, weight = torch.randn(count, dim, requires_grad=True), torch.randn(vocabulary, dim, requires_grad=True)
        targets = torch.randint(vocabulary, (count,))

        def now(hidden: Tensor = hidden, weight: Tensor = weight, targets: Tensor = targets) -> None:
            functional.cross_entropy(functional.linear(hidden, weight), targets, reduction="sum").backward()

        def chunked(hidden: Tensor = hidden, weight: Tensor = weight, targets: Tensor = targets) -> None:
            Chunked.apply(hidden, weight, targets).backward()

        exact = [value.detach().double().requires_grad_() for value in (hidden, weight)]
        functional.cross_entropy(functional.linear(*exact), targets, reduction="sum").backward()
        other = [value.detach().double().requires_grad_() for value in (hidden, weight)]
        Chunked.apply(*other, targets).backward()
        for one, two in zip(exact, other, strict=True):
            torch.testing.assert_close(one.grad, two.grad, rtol=1e-9, atol=1e-9)
        compare(f"loss by chunks: {name}, {count} targets, {dim}, {vocabulary} tokens", now, chunked, 2 if vocabulary > 1000 else 50)


def pad() -> None:
    for name, count, dim, vocabulary in (("translation", 2000, 256, 5937), ("completion", 768, 128, 66)):
        hidden, targets = torch.randn(count, dim, requires_grad=True), torch.randint(vocabulary, (count,))
        plain, padded = Tokens(vocabulary, dim), Tokens(vocabulary, dim, multiple=64)

        def run(tokens: Tokens, hidden: Tensor = hidden, targets: Tensor = targets) -> None:
            functional.cross_entropy(tokens.logits(hidden), targets, reduction="sum").backward()

        times = 2 if vocabulary > 1000 else 50
        what = f"padded to a multiple of 64: {name}, {count} targets, {dim}, {vocabulary} tokens"
        compare(what, lambda run=run, plain=plain: run(plain), lambda run=run, padded=padded: run(padded), times)


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("| what | ms now | ms so | ratio |\n| --- | --- | --- | --- |")
    for name in sys.argv[1:] or ("qkv", "loss", "pad"):
        {"qkv": qkv, "loss": loss, "pad": pad}[name]()
