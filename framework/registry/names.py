"""Names of options: from those of classes, and checked against the known ones."""

import difflib
import re
from collections.abc import Iterable

from framework.errors import UserError


def option_name(class_name: str, kind: str) -> str:
    """`RMSNorm`, norm -> `rms`; `MultiHeadAttention`, attention -> `multi_head`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", class_name).lower()
    return words.removesuffix(f"_{kind}") or words


def check_names(given: Iterable[str], known: Iterable[str], complaint: str) -> None:
    """UserError: one of the given names is unknown; the message is the complaint, the name, the nearest known one and all others."""
    known = list(known)
    for name in given:
        if name not in known:
            raise UserError(f"{complaint} {name!r}{nearest(name, known)}; it has: {', '.join(known) or 'none'}")


def nearest(name: str, names: Iterable[str], cutoff: float = 0.6) -> str:
    """` (did you mean 'x'?)` if one of the names is near, else an empty text.

    >>> nearest("num_layer", ["num_heads", "num_layers"])
    " (did you mean 'num_layers'?)"
    """
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=cutoff)
    return f" (did you mean {close[0]!r}?)" if close else ""
