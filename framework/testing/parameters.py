"""Contract tests of the parameters of a module: their gradients, and their weights in a file."""

import io
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from framework.testing.promise import BrokenPromise


def check_gradients(module: nn.Module, loss: Tensor) -> None:
    """BrokenPromise: a parameter that is not frozen has no gradient of the loss, or one that is not finite, or zero.

    A part with an attribute `sparse_parameters`, patterns over the names of its parameters, uses some of them in each batch: one of each
    pattern needs a gradient.
    """
    loss.backward()
    states = {name: _state(parameter.grad) for name, parameter in module.named_parameters() if parameter.requires_grad}
    for owner, part in module.named_modules():
        for pattern in getattr(part, "sparse_parameters", ()):
            names = [name for name in states if fnmatchcase(name, f"{owner}.{pattern}".lstrip("."))]
            if not any(states[name] is None for name in names):
                raise BrokenPromise(f"gradients reach every parameter: none of {owner}.{pattern} (sparse_parameters) has one")
            states |= {name: None for name in names if states[name] != "not finite"}
    for name, state in states.items():
        if state is not None:
            raise BrokenPromise(f"gradients reach every parameter: that of {name} is {state}")


def _state(gradient: Tensor | None) -> str | None:
    """The defect of a gradient (none, not finite, zero); None = it has no defect."""
    if gradient is None:
        return "none"
    return "not finite" if not gradient.isfinite().all() else None if gradient.any() else "zero"


def load_saved(saved: nn.Module, module: nn.Module) -> None:
    """Load the weights of one module into another, through a file."""
    file = io.BytesIO()
    torch.save(saved.state_dict(), file)
    file.seek(0)
    module.load_state_dict(torch.load(file, weights_only=True))
