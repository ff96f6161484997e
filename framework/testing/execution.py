"""Contract tests: a part runs in the precisions, on the devices and with the compiler of a training."""

from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from framework.testing.effects import differs
from framework.testing.promise import BrokenPromise
from framework.testing.toy_models import build_toy, forward, loss, texts
from framework.testing.toy_part import ToyPart
from framework.weights.meta import meta_device


def runs_in_float32(toy: ToyPart) -> None:
    """Built as a run builds it, a part computes, trains and decodes in float32."""
    model = build_toy(toy.node)
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            raise BrokenPromise(f"runs in float32: {name} is {tensor.dtype}")
    hidden = forward(model, *_ids())
    if hidden.dtype != torch.float32:
        raise BrokenPromise(f"runs in float32: hidden states are {hidden.dtype}")
    _trains("runs in float32", model, build_toy(toy.node).double(), 1e-2)


def runs_under_autocast(toy: ToyPart) -> None:
    """A part computes, trains and decodes in bfloat16 mixed precision (`trainer.precision=bf16-mixed`)."""
    model, exact = build_toy(toy.node), build_toy(toy.node)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _trains("runs under autocast", model, exact, 0.2)


def runs_on_the_meta_device(toy: ToyPart) -> None:
    """A part is built on the meta device, where a run computes sizes; and it makes no tensors on another device than that of its input,
    and reads no values of tensors."""
    with meta_device():
        build_toy(toy.node)
    if _sparse(toy):
        return  # which tokens a sparse part chooses depends on values
    model = toy.small_model().to("meta")
    with FakeTensorMode(allow_non_fake_inputs=True, shape_env=ShapeEnv(allow_dynamic_output_shape_ops=True)):
        ids, source = (tensor.to("meta") for tensor in _ids())
        hidden = forward(model, ids, source)
        (model.logits(hidden) if "decoder" in model.provides else hidden).sum().backward()
        if "decoder" in model.provides:
            _decode(model, ids, source)


def runs_compiled(toy: ToyPart) -> None:
    """torch.compile traces a part as one graph, which gives the same hidden states (`trainer.compile=true`)."""
    torch._dynamo.reset()
    model = toy.small_model().eval()
    expected = forward(model, *_ids())
    with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True):
        got = forward(torch.compile(model, backend="eager", fullgraph=not _sparse(toy)), *_ids())
    if differs(expected, got):
        raise BrokenPromise("runs compiled: torch.compile gives other hidden states")


def _trains(promise: str, model: Any, exact: Any, tolerance: float) -> None:
    """BrokenPromise: the gradients are not finite, or the loss is not near that of the same model in another precision."""
    loss(model.train()).backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None and not parameter.grad.isfinite().all():
            raise BrokenPromise(f"{promise}: the gradient of {name} is not finite")
    with torch.no_grad():
        value = loss(model.eval()).item()
        with torch.autocast("cpu", enabled=False):
            expected = loss(exact.eval()).item()
        if not abs(value - expected) <= tolerance * abs(expected):
            raise BrokenPromise(f"{promise}: the loss is {value:.5g} instead of {expected:.5g}")
        if "decoder" in model.provides:
            _decode(model, *_ids())


def _decode(model: Any, ids: Tensor, source: Tensor) -> None:
    state = model.state(model.encode(source) if "cross" in model.provides else None)
    for piece in ids.split([6, 1], dim=1):
        model.decode(piece, state)


def _ids() -> tuple[Tensor, Tensor]:
    return torch.stack(texts(7, 7)), torch.stack(texts(6, 6))


def _sparse(toy: ToyPart) -> bool:
    return hasattr(toy.part.cls, "sparse_parameters")
