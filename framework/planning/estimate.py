"""The plan of a run: memory of a device, operations, bytes sent and time of a step, as a table.

Bytes sent are those of collective operations in a ring, which no other algorithm undercuts: an all-reduce of n bytes sends 2 n (N - 1) / N
from each of N processes, an all-gather or a reduce-scatter half of that. Patarasuk and Yuan 2009, https://doi.org/10.1016/j.jpdc.2008.09.002
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from framework.planning.options import OPTIONS
from framework.planning.step import StepCost, step_cost


@dataclass(frozen=True)
class Machines:
    """The devices of a plan: processes on each of some machines. tflops: TFLOP/s that a device reaches (not its peak); bandwidth: GB/s that
    it sends, between machines if there are several; None = unknown, and no time is told."""

    processes: int = 1
    nodes: int = 1
    tflops: float | None = None
    bandwidth: float | None = None

    @property
    def size(self) -> int:
        return self.processes * self.nodes


def plan(config: Mapping[str, Any], machines: Machines) -> str:
    """The table. UserError: a part reads the values of tensors, and the meta device has none."""
    return "\n".join(_lines(config, machines, step_cost(config)))


def _lines(config: Mapping[str, Any], machines: Machines, cost: StepCost) -> Iterator[str]:
    trainer = config["trainer"]
    sharded, size = trainer.get("strategy") == "fsdp", machines.size
    accumulated = trainer.get("accumulate_grad_batches", 1)
    strategy = "" if size == 1 else ", sharded (fsdp)" if sharded else ", replicated (ddp)"
    where = f"{machines.processes} on each of {machines.nodes} machines" if machines.nodes > 1 else "on one machine"
    yield f"plan for {size:,} process{'es' * (size > 1)}{f', {where}' * (size > 1)}{strategy}"
    memory = memory_of_a_device(cost, size, sharded)
    yield _row("memory of a device", sum(memory.values()))
    yield from (_row(f"  {name}", number) for name, number in memory.items())
    yield _row("activations by part", sum(cost.kept.values()))
    yield from (_row(f"  {name}", number) for name, number in sorted(cost.kept.items(), key=lambda item: -item[1]) if number >= 2**16)
    if cost.cache:
        yield _row(f"cache of decoding, a row of {config['model']['max_length']:,} tokens", cost.cache)
    rows = f"{cost.rows:,} rows, {cost.tokens:,} tokens"
    total = cost.tokens * accumulated * size
    batches = f"{accumulated} batches" if accumulated > 1 else "a batch"
    several = f"; {batches} of each of {size:,} process{'es' * (size > 1)}: {total:,} tokens a step" if accumulated * size > 1 else ""
    yield f"batch       {rows}{several}"
    a_token, a_step = (f"{_scaled(number)}FLOPs" for number in (cost.flops / cost.tokens, accumulated * cost.flops))
    yield f"operations  {a_token} a token, forward and backward; {a_step} a step"
    sent = bytes_sent(cost, size, sharded, accumulated)
    if size > 1:
        yield f"sent        {_amount(sent)} by each process in a step"
    yield from _times(cost, machines, accumulated, sent, total, trainer.get("max_steps", -1))


def _times(cost: StepCost, machines: Machines, accumulated: int, sent: float, tokens: int, steps: int) -> Iterator[str]:
    computing = None if machines.tflops is None else accumulated * cost.flops / (1e12 * machines.tflops)
    sending = None if machines.bandwidth is None else sent / (1e9 * machines.bandwidth)
    if computing is not None:
        yield f"computing   {_seconds(computing)} a step at {machines.tflops:g} TFLOP/s"
    if sending is not None and sent:
        yield f"sending     {_seconds(sending)} a step at {machines.bandwidth:g} GB/s"
    if computing is None or (sending is None and sent):
        missing = [name for name in OPTIONS if getattr(machines, name) is None and (name == "tflops" or sent)]
        yield f"time        with {' and '.join(f'{name}=NUMBER' for name in missing)}"
        return
    longest, shortest = computing + (sending or 0.0), max(computing, sending or 0.0)
    if sent:
        yield f"share       {(sending or 0.0) / longest:.0%} of a step is communication if none of it overlaps with computing"
    span = _seconds(longest) if longest < 1.01 * shortest else f"{_seconds(shortest)} to {_seconds(longest)}"
    yield f"time        {span} a step; {_seconds(longest * 1e9 / tokens)} a billion tokens, at most"
    if steps and steps > 0:
        yield f"            {_seconds(longest * steps)} for {steps:,} steps, at most"


def memory_of_a_device(cost: StepCost, size: int, sharded: bool) -> dict[str, float]:
    """Bytes by what they hold. With sharded weights, the layer under way and the one after it are whole, and what is in no layer."""
    share = size if sharded else 1
    memory: dict[str, float] = {"weights": cost.weights / share, "gradients": cost.gradients / share}
    memory["optimizer state"] = cost.optimizer / share
    if size > 1 and sharded:
        memory["gathered layers"] = min(cost.weights, cost.weights - cost.in_layers + 2 * cost.layer) + cost.layer
    elif size > 1:
        memory["buckets of gradients"] = cost.gradients
    kept = sum(cost.kept.values())
    return memory | {"activations": kept, "more at their peak": max(0, cost.peak - kept)}


def bytes_sent(cost: StepCost, size: int, sharded: bool, accumulated: int = 1) -> float:
    """Bytes that each process sends in a step. DDP reduces gradients once; FSDP2 gathers the weights of layers before their forward and
    their backward pass, those of the rest once, and reduces and scatters gradients after each batch."""
    if size == 1:
        return 0.0
    ring = (size - 1) / size
    if not sharded:
        return 2 * ring * cost.gradients
    return accumulated * ring * (cost.weights + cost.in_layers + cost.gradients)


def _row(name: str, size: float) -> str:
    return f"  {name:<52}{_amount(size):>14}"


def _amount(size: float) -> str:
    return f"{size / 2**30:,.2f} GiB" if size >= 2**30 else f"{size / 2**20:,.2f} MiB"


def _scaled(number: float) -> str:
    """A number with its prefix: `12.3 G`."""
    for prefix, unit in (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6)):
        if number >= unit:
            return f"{number / unit:,.3g} {prefix}"
    return f"{number:,.0f} "


def _seconds(seconds: float) -> str:
    for unit, length in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0), ("s", 1.0)):
        if seconds >= (2 if unit != "s" else 1) * length:
            return f"{seconds / length:,.3g} {unit}"
    return f"{1e3 * seconds:,.3g} ms"
