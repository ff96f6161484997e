"""One text through a model: the attention weights of every head, and the vectors of its tokens after every layer.

Shapes: T query tokens, S key tokens, H heads, L layers, D model width.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from framework.data.formats import Batch
from framework.parts.attention.base import Attention
from framework.parts.attention.weights import AttentionWeights
from framework.parts.embeddings import Tokens
from framework.parts.stacks import Stack
from framework.registry import describe

Array = NDArray[np.float64]


@dataclass(frozen=True)
class HeadWeights:
    """The attention weights of all heads of a layer.

    stack: the path of its stack in the model (`encoder`). kind: `self`, or the name of the sublayer (`cross`). layer: from 1. weights:
    (H, T, S). keys: the stack whose tokens are the keys.
    """

    stack: str
    kind: str
    layer: int
    weights: Array
    keys: str


@dataclass
class Recording:
    """Recorded tensors of a pass through the model, for the first row of its batch.

    ids: token ids of the input of each stack. vectors: of each stack, (L + 1, T, D): its input, then the output of each layer, the last one
    after the final norm. attention: in the order of computation. without: the attentions that have no weights, `attention/linear`.
    """

    ids: dict[str, list[int]] = field(default_factory=dict)
    vectors: dict[str, Array] = field(default_factory=dict)
    attention: list[HeadWeights] = field(default_factory=list)
    without: list[str] = field(default_factory=list)


def recorded(task: nn.Module, batch: Batch) -> Recording:
    """The recording of a task's forward pass over a batch, without gradients."""
    found = Recording()
    with torch.no_grad(), _hooked(task.eval(), found):
        task(batch)
    return found


@contextmanager
def _hooked(task: nn.Module, found: Recording) -> Iterator[None]:
    """Inside, the stacks and attentions of a task fill the recording."""
    hooks: list[Any] = []
    ids: list[int] = []  # of the newest call of the token embeddings
    with AttentionWeights() as recorder:

        def embedded(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            ids[:] = arguments[0][0].tolist()

        for name, module in task.named_modules():
            if isinstance(module, Tokens):
                hooks.append(module.register_forward_pre_hook(embedded))
            if isinstance(module, Stack):
                hooks += _StackHooks(name.removeprefix("model."), module, found, recorder, ids).hooks
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


class _StackHooks:
    """The hooks of a stack: on itself, on its layers, which may be one that is applied several times, and on their attentions."""

    def __init__(self, name: str, stack: Stack, found: Recording, recorder: AttentionWeights, ids: list[int]):
        self.name, self.found, self.recorder, self.ids = name, found, recorder, ids
        self.states: list[Tensor] = []
        self.begins = 0  # number of weights before the running attention
        self.hooks = [stack.register_forward_pre_hook(self._enter), stack.register_forward_hook(self._leave)]
        for layer in stack.layers:
            self.hooks.append(layer.register_forward_hook(self._layer))
            for sublayer, module in layer.named_children():
                if isinstance(module, Attention):
                    kind = "self" if sublayer == "attention" else sublayer
                    self.hooks.append(module.register_forward_pre_hook(self._begin))
                    self.hooks.append(module.register_forward_hook(self._attended(kind)))

    def _enter(self, module: nn.Module, arguments: tuple[Any, ...]) -> None:
        self.states = [arguments[0]]
        self.found.ids[self.name] = list(self.ids)

    def _layer(self, module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> None:
        self.states.append(output)

    def _leave(self, module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> None:
        self.states[-1] = output
        self.found.vectors[self.name] = _array(torch.stack([state[0] for state in self.states]))

    def _begin(self, module: nn.Module, arguments: tuple[Any, ...]) -> None:
        self.begins = len(self.recorder.weights)

    def _attended(self, kind: str) -> Any:
        def hook(module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> None:
            weights = self.recorder.weights[self.begins :]
            if not weights and (part := describe(type(module))) not in self.found.without:
                self.found.without.append(part)
            keys = self.name if kind == "self" else next(iter(self.found.vectors), self.name)  # the encoder comes first
            self.found.attention += [HeadWeights(self.name, kind, len(self.states), _array(each[0]), keys) for each in weights]

        return hook


def _array(tensor: Tensor) -> Array:
    return tensor.detach().double().cpu().numpy()
