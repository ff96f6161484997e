"""Contract tests: a part has no state beside its parameters, changes none of its inputs, and draws no random numbers in evaluation."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn

from framework.parts.layout import SequenceLayout
from framework.testing.promise import BrokenPromise
from framework.testing.toy_models import forward, loss, texts
from framework.testing.toy_part import ToyPart

METHODS = {"attention": ("keys_values", "forward"), "position": ("embed", "rotary", "bias", "relative")}  # of other kinds: forward


@torch.no_grad()
def evaluation_is_deterministic(toy: ToyPart) -> None:
    """In evaluation nothing is random, whatever the dropout, and no random number is drawn."""
    model = toy.model(dropout=0.5).eval()
    ids, source = torch.stack(texts(7, 7)), torch.stack(texts(6, 6))
    before = torch.get_rng_state()
    if not forward(model, ids, source).equal(forward(model, ids, source)):
        raise BrokenPromise("evaluation is deterministic: two calls with the same tokens differ in evaluation mode")
    if not torch.get_rng_state().equal(before):
        raise BrokenPromise("evaluation is deterministic: a call in evaluation mode changes the state of the random number generator")


def keeps_nothing_between_calls(model: Any) -> None:
    """A call leaves no attribute, buffer or parameter behind: neither a new one nor another value, in training and in evaluation."""
    ids, source = torch.stack(texts(7, 7)), torch.stack(texts(6, 6))
    before = _contents(model)
    for training in (True, False):
        model.train(training)
        if training:
            loss(model).backward()
            model.zero_grad()
        else:
            with torch.no_grad():
                first = forward(model, ids, source)
                forward(model, ids[:, :4], source[:, :3])
                again = forward(model, ids, source)
        for path in _changes(before, _contents(model)):
            raise BrokenPromise(f"keeps nothing between calls: {path} changed in {'training' if training else 'evaluation'}")
    if not first.equal(again):
        raise BrokenPromise("keeps nothing between calls: the same tokens give other hidden states after a call with other tokens")


def leaves_its_inputs_unchanged(toy: ToyPart) -> None:
    """A part changes no tensor in place that it was given."""
    model = toy.model()
    for part in toy.parts(model):
        for method in METHODS.get(toy.slot, ("forward",)):
            object.__setattr__(part, method, _watched(part, method))
    for training in (True, False):
        model.train(training)
        with torch.set_grad_enabled(training):
            forward(model, torch.stack(texts(7, 7)), torch.stack(texts(6, 6)))


def _watched(part: nn.Module, method: str) -> Any:
    usual = getattr(part, method)

    @wraps(usual)  # the layer reads the signature
    def watched(*arguments: Any, **keywords: Any) -> Any:
        given = [list(map(_own, arguments)), {name: _own(value) for name, value in keywords.items()}]
        before = _frozen(given)
        result = usual(*arguments, **keywords)
        for path in _changes(before, _frozen(given)):
            raise BrokenPromise(f"leaves its inputs unchanged: {method} of {type(part).__name__} changes its argument {path} in place")
        return result

    return watched


def _own(value: Any) -> Any:
    """The argument; a layout without what layers hand to later ones, which they write."""
    return replace(value, shared=None) if isinstance(value, SequenceLayout) else value


def _contents(model: nn.Module) -> dict[str, Any]:
    """Attributes, parameters and buffers of every module, and the attributes of their classes."""
    contents: dict[str, Any] = {}
    for name, module in model.named_modules():
        own = {key: value for key, value in vars(module).items() if key != "training"}
        for cls in type(module).__mro__:
            if not cls.__module__.startswith(("torch.", "builtins")):
                contents[f"class {cls.__name__}"] = {key: _frozen(value) for key, value in vars(cls).items() if not key.startswith("__")}
        contents[name or "the model"] = _frozen(own)
    return contents


def _frozen(value: Any) -> Any:
    """A copy of tensors, numbers, texts, collections and the attributes of plain objects; of anything else the type."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _frozen(item) for key, item in value.items()}
    if isinstance(value, Collection):
        return dict(enumerate(map(_frozen, value)))
    if isinstance(value, (type, nn.Module)) or callable(value) or not hasattr(value, "__dict__"):
        return type(value)
    return {key: _frozen(item) for key, item in vars(value).items()}


def _changes(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Paths of what differs between two frozen values."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            inner = f"{path}.{key}".replace("._parameters", "").replace("._buffers", "").lstrip(".")
            if key not in before or key not in after:
                yield inner
            else:
                yield from _changes(before[key], after[key], inner)
    elif isinstance(before, Tensor) and isinstance(after, Tensor):
        if before.shape != after.shape or not torch.allclose(before, after, rtol=0, atol=0, equal_nan=True):
            yield path
    elif type(before) is not type(after) or before != after:
        yield path
