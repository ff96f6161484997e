"""Contract tests of the parameters of a module: their gradients, and their weights in a file."""

import io

import torch
from torch import Tensor, nn

from framework.testing.promise import BrokenPromise


def check_gradients(module: nn.Module, loss: Tensor) -> None:
    """BrokenPromise: a parameter has no gradient of the loss, or one that is not finite, or zero."""
    loss.backward()
    for name, parameter in module.named_parameters():
        gradient = parameter.grad
        if gradient is None or not gradient.isfinite().all() or not gradient.any():
            state = "none" if gradient is None else "not finite" if not gradient.isfinite().all() else "zero"
            raise BrokenPromise(f"gradients reach every parameter: that of {name} is {state}")


def load_saved(saved: nn.Module, module: nn.Module) -> None:
    """Load the weights of one module into another, through a file."""
    file = io.BytesIO()
    torch.save(saved.state_dict(), file)
    file.seek(0)
    module.load_state_dict(torch.load(file, weights_only=True))
