"""A training step on the meta device: memory by part, operations, optimizer state, and the cache of decoding."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import _engine_run_backward
from torch.utils.flop_counter import FlopCounterMode

from framework.data.formats import Batch
from framework.errors import UserError
from framework.planning.batch import batch_spec, meta_batch, tokens
from framework.planning.kernels import GpuKernels
from framework.planning.live import LiveBytes
from framework.registry import as_part, build
from framework.runs.build import build_task
from framework.tasks.base import Task
from framework.training.groups import is_stack
from framework.weights.meta import meta_device

_DTYPES = {"16-true": torch.float16, "bf16-true": torch.bfloat16, "64-true": torch.float64, "64": torch.float64, 64: torch.float64}
_AUTOCAST = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16, "bf16": torch.bfloat16, "16": torch.float16, 16: torch.float16}


@dataclass
class StepCost:
    """Costs of one batch in one process; bytes.

    kept: activations that the backward pass needs, by part. peak: the most at once beside weights, gradients and optimizer state. flops:
    operations of the forward and backward pass. layer: weights of the largest layer of a stack. in_layers: weights in layers of stacks.
    cache: keys and values of a row of max_length tokens in decoding; 0 for tasks that do not decode.
    """

    weights: int
    gradients: int
    optimizer: int
    rows: int
    tokens: int
    kept: dict[str, int] = field(default_factory=dict)
    peak: int = 0
    flops: int = 0
    layer: int = 0
    in_layers: int = 0
    cache: int = 0


def step_cost(config: Mapping[str, Any]) -> StepCost:
    """The cost of the largest training batch of a config. UserError: a part reads the values of tensors, which the meta device does not
    have."""
    format = build(config["task"]["format"])
    spec, tokenizer = batch_spec(config, format)
    precision = config["trainer"].get("precision")
    with meta_device():
        task = build_task(config, spec, format).to(_DTYPES.get(precision, torch.float32))
    batch = meta_batch(config, format, spec, tokenizer)
    batch = {name: value for name, value in batch.items() if name not in task.read_in_evaluation}
    learned = [parameter for parameter in task.parameters() if parameter.requires_grad]
    layers = [layer for stack in task.modules() if is_stack(stack) for child in stack.children() for layer in _layers(child)]
    cost = StepCost(
        weights=_bytes(task.parameters()),
        gradients=_bytes(learned),
        optimizer=optimizer_bytes(task, config),
        rows=len(batch["@rows"].numbers),
        tokens=tokens(batch),
        layer=max((_bytes(layer.parameters()) for layer in layers), default=0),
        in_layers=sum(_bytes(layer.parameters()) for layer in layers),
        cache=cache_bytes(task, config),
    )
    try:
        run_step(task.train(), batch, _AUTOCAST.get(precision), cost)
    except RuntimeError as error:
        if "meta" not in str(error):
            raise
        raise UserError(f"a plan runs a step on the meta device, and a part of this config reads the values of tensors: {error}") from error
    return cost


def run_step(task: Task, batch: Batch, autocast: torch.dtype | None, cost: StepCost) -> None:
    """Runs the forward and backward pass on the meta device, and fills in what they cost."""
    parts = {module: part_of(name) for name, module in task.named_modules() if name}
    known = [*task.parameters(), *task.buffers(), *(value for value in batch.values() if isinstance(value, Tensor))]
    operations = FlopCounterMode(display=False)
    kernels = GpuKernels(autocast)  # also in the backward pass, in which activation checkpointing runs layers again
    with operations, LiveBytes(parts).counting(known) as memory, kernels.replacing_autocast():
        result = task(batch)
        kernels.forget_weights()
        cost.kept = {name: size for name, size in memory.by_part.items() if size}
        memory.recomputes = True
        loss = sum((loss for loss, _ in result.losses.values()), start=result.loss)
        # `backward` itself leaves the mode of the kernels, in which layers must be recomputed
        _engine_run_backward((loss,), (torch.ones_like(loss),), False, False, (), allow_unreachable=True, accumulate_grad=True)
        del result, loss
        cost.peak = memory.peak
    cost.flops = operations.get_total_flops()


def part_of(name: str) -> str:
    """The part that a module belongs to: `model.decoder.layers.3.attention.query` -> `model.decoder attention`."""
    words = name.split(".")
    numbers = [place for place, word in enumerate(words) if word.isdigit()]
    if numbers and numbers[0] + 1 < len(words):
        return f"{'.'.join(words[: numbers[0] - 1])} {words[numbers[0] + 1]}"
    return ".".join(words[:2])


def optimizer_bytes(task: nn.Module, config: Mapping[str, Any]) -> int:
    """Bytes of the optimizer's state after a step, which is made on the meta device."""
    optimizer = as_part(config["optimizer"])(model=task)
    groups = optimizer.param_groups
    for group in groups:
        for parameter in group["params"]:
            parameter.grad = torch.empty_like(parameter)
        optimizer.param_groups = [group]
        with suppress(RuntimeError):  # it reads a value, which the meta device does not have; state is made before
            optimizer.step()
    task.zero_grad(set_to_none=True)
    return _bytes(value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor))


def cache_bytes(task: Task, config: Mapping[str, Any]) -> int:
    """Bytes of the decoding cache of one row that is as long as the model takes; 0 for a task that does not decode."""
    if not config["task"].get("decoding") or not hasattr(task.model, "decode"):
        return 0
    ids = torch.zeros((1, config["model"]["max_length"]), dtype=torch.long, device="meta")
    with _evaluating(task), GpuKernels(_AUTOCAST.get(config["trainer"].get("precision"))):
        state = task.model.state(task.model.encode(ids) if hasattr(task.model, "encode") else None)
        task.model.decode(ids, state)
    tensors = [*(tensor for cache in state.caches for tensor in cache.state()), *(x for pair in state.encoder_keys_values for x in pair)]
    return _bytes(tensors)


def _layers(child: nn.Module) -> Iterator[nn.Module]:
    yield from child if isinstance(child, nn.ModuleList) else ()


def _bytes(tensors: Any) -> int:
    """Bytes of tensors, each storage once."""
    return sum({tensor.untyped_storage()._cdata: tensor.untyped_storage().nbytes() for tensor in tensors}.values())


@contextmanager
def _evaluating(task: nn.Module) -> Iterator[None]:
    training = task.training
    task.eval()
    try:
        yield
    finally:
        task.train(training)
