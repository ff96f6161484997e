"""Training without dropout, whatever the rate that a part sets itself."""

from typing import Any

from torch.nn import functional
from torch.overrides import TorchFunctionMode

from framework.parts.attention.weights import RATES
from framework.parts.dropout import dropout

DROPOUTS = (
    dropout,
    functional.dropout,
    functional.dropout1d,
    functional.dropout2d,
    functional.dropout3d,
    functional.alpha_dropout,
    functional.feature_alpha_dropout,
)


class WithoutDropout(TorchFunctionMode):
    """Context manager in which dropout returns its argument."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in DROPOUTS:
            return args[0] if args else kwargs["input"]
        if (rate := RATES.get(func)) in kwargs:
            kwargs = {**kwargs, rate: 0.0}
        return func(*args, **kwargs)
