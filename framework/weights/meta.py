"""Building what a file of somebody else describes on the meta device, which has shapes and no memory."""

from collections.abc import Iterator
from contextlib import contextmanager

from framework.errors import UserError

_MORE = 1000  # parameters that a model may have beside those of its file


@contextmanager
def on_meta(what: str, tensors: int) -> Iterator[None]:
    """Builds modules inside the block on the meta device. tensors: in the file that has the weights: a description of many times as many
    parameters is not built to its end. what: the file of the description.

    UserError: a value that a constructor refuses, or too many parameters.
    """
    import torch
    from torch.nn.modules.module import register_module_parameter_registration_hook

    most, count = 4 * tensors + _MORE, 0

    def counted(*_: object) -> None:
        nonlocal count
        count += 1
        if count > most:
            raise UserError(f"{what} describes a model of more than {most:,} parameters, and the file with its weights has {tensors:,}")

    hook = register_module_parameter_registration_hook(counted)
    try:
        with torch.device("meta"):
            yield
    except UserError:
        raise
    except (ValueError, ArithmeticError, RuntimeError) as error:  # torch says so of a size that is negative or too large
        raise UserError(f"{what} describes no model: {' '.join(str(error).split())[:200]}") from error
    finally:
        hook.remove()
