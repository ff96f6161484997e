"""python benchmarks/parts.py: CPU-milliseconds of each attention beside multi_head, forward and backward and for a decoded token.

One thread, float32, dim 256, 4 heads, causal, no dropout; a batch has 2,048 tokens. All attentions take turns, and a figure is the median
of their turns. A decoded token is one call with a cache of 128, 512 or 2,048 tokens, in one row.
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

from framework.parts.layout import SequenceLayout  # noqa: E402
from framework.parts.masks import Mask  # noqa: E402
from framework.registry import Part  # noqa: E402

DIM, HEADS, TOKENS, TURNS = 256, 4, 2048, 7
OFFERS = {"dim": DIM, "num_heads": HEADS, "num_layers": 1, "dropout": 0.0, "bias": False, "epsilon": 1e-5, "layer": 0, "causal": True}
ATTENTIONS = {
    "multi_head": Part("attention/multi_head"),
    "multi_head, logit_cap": Part("attention/multi_head", logit_cap=50.0),
    "multi_head, sinks": Part("attention/multi_head", sinks=True),
    "multi_head, gate=head": Part("attention/multi_head", gate="head"),
    "multi_head, gate=feature": Part("attention/multi_head", gate="feature"),
    "multi_head, position shaw": Part("attention/multi_head"),
    "differential": Part("attention/differential"),
    "latent": Part("attention/latent"),
    "linear": Part("attention/linear"),
    "gated_delta": Part("attention/gated_delta"),
    "retention": Part("attention/retention"),
}


def mask_of(name: str, attention: Any, queries: int, keys: int) -> Mask:
    if "shaw" not in name:
        return Mask(queries, keys, causal=True)
    position, places = Part("position/shaw")(head_dim=attention.rotary_dim, causal=True), torch.arange(keys)[None]
    return Mask(queries, keys, causal=True, relative=lambda query: position.relative(query, places[:, -queries:], places))


def training(name: str, attention: Any, length: int) -> Callable[[], object]:
    x, layout = torch.randn(TOKENS // length, length, DIM, requires_grad=True), SequenceLayout(torch.arange(length)[None])
    mask = mask_of(name, attention, length, length)

    def step() -> object:
        return torch.autograd.grad(attention(x, attention.keys_values(x, layout), layout, mask).sum(), [x, *attention.parameters()])

    return step


def decoding(name: str, attention: Any, length: int) -> Callable[[], object]:
    cache = attention.cache()
    cache.update(attention.keys_values(torch.randn(1, length - 1, DIM), SequenceLayout(torch.arange(length - 1)[None])))
    x, layout, kept = torch.randn(1, 1, DIM), SequenceLayout(torch.tensor([[length - 1]])), cache.state()
    mask = mask_of(name, attention, 1, length)

    @torch.no_grad()
    def token() -> object:
        cache.load_state(kept)
        return attention(x, cache.update(attention.keys_values(x, layout)), layout, mask)

    return token


def turns(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median CPU-milliseconds of each call."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    repeats = {}
    for name, call in calls.items():
        call()
        begin = time.process_time()
        call()
        repeats[name] = max(1, round(0.05 / max(time.process_time() - begin, 1e-5)))
    for _ in range(TURNS):
        for name, call in calls.items():
            begin = time.process_time()
            for _ in range(repeats[name]):
                call()
            times[name].append((time.process_time() - begin) / repeats[name] * 1000)
    return {name: statistics.median(values) for name, values in times.items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    columns = [
        turns({name: measure(name, part(**OFFERS), length) for name, part in ATTENTIONS.items()})
        for measure in (training, decoding)
        for length in (128, 512, 2048)
    ]
    print("| attention | training, T = 128 | 512 | 2048 | a token, 128 | 512 | 2048 |\n| --- | --- | --- | --- | --- | --- | --- |")
    for name in ATTENTIONS:
        cells = [f"{found[name]:.4g} ({found[name] / found['multi_head']:.2f})" for found in columns]
        print(f"| {name} | {' | '.join(cells)} |")
