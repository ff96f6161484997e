"""Traits of options: a class declares them beside its options, the index keeps them, and resuming, comparing and composing read them.

option_traits = {"may_change": ("folder",), "pattern": ("files",)}  # trait -> options
"""

from typing import Any

from framework.errors import UserError
from framework.registry import nearest, signature

TRAITS = {
    "training_only": "affects training, not the outputs of a trained model",
    "may_change": "may change when a run is resumed",
    "optimizer_state": "may not change when a run is resumed: the optimizer's state depends on it",
    "pattern": "a pattern or another text whose brackets need no quotes",
}


def option_traits(cls: type) -> dict[str, list[str]]:
    """Option -> its traits, as the class and its bases declare them. UserError: the class declares an unknown trait or option."""
    fields = signature(cls).fields
    traits: dict[str, list[str]] = {}
    for base in cls.__mro__:
        declared: dict[str, Any] = vars(base).get("option_traits", {})
        for trait, options in declared.items():
            if trait not in TRAITS:
                raise UserError(
                    f"{base.__qualname__}: there is no option trait {trait!r}{nearest(trait, TRAITS)}; there are: {', '.join(TRAITS)}"
                )
            for option in options:
                if option in fields:
                    traits.setdefault(option, []).append(trait)
                elif base is cls:
                    raise UserError(
                        f"{base.__qualname__}: {trait} names the option {option!r}, which it does not have{nearest(option, fields)}"
                    )
    return traits
