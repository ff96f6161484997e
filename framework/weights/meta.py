"""Building what a file of somebody else describes on the meta device, which has shapes and no memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from framework.errors import UserError

DRAWS = frozenset({"normal_", "uniform_", "trunc_normal_", "random_", "bernoulli_", "exponential_"})  # of torch.Tensor and torch.nn.init
_MORE = 1000  # parameters that a model may have beside those of its file


@contextmanager
def meta_device() -> Iterator[None]:
    """Tensors made inside the block are on the meta device, and initial values are not drawn: torch has a decomposition of `normal_` for
    this device, and imports its compiler for it, which takes longer than all else in building a model."""
    import torch
    from torch.overrides import TorchFunctionMode

    class NoDraws(TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if getattr(function, "__name__", "") in DRAWS:
                return args[0] if args else kwargs["tensor"]
            return function(*args, **(kwargs or {}))

    with torch.device("meta"), NoDraws():
        yield


@contextmanager
def on_meta(what: str, tensors: int) -> Iterator[None]:
    """Builds modules inside the block on the meta device. tensors: in the file that has the weights: a description of many times as many
    parameters is not built to its end. what: the file of the description.

    UserError: a value that a constructor refuses, or too many parameters.
    """
    from torch.nn.modules.module import register_module_parameter_registration_hook

    most, count = 4 * tensors + _MORE, 0

    def counted(*_: object) -> None:
        nonlocal count
        count += 1
        if count > most:
            raise UserError(f"{what} describes a model of more than {most:,} parameters, and the file with its weights has {tensors:,}")

    hook = register_module_parameter_registration_hook(counted)
    try:
        with meta_device():
            yield
    except UserError:
        raise
    except (ValueError, ArithmeticError, RuntimeError) as error:  # torch says so of a size that is negative or too large
        raise UserError(f"{what} describes no model: {' '.join(str(error).split())[:200]}") from error
    finally:
        hook.remove()
