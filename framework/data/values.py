"""Values of the cells of a file: the rules that all kinds of files share."""

import math
from collections.abc import Mapping
from reprlib import repr as shortened
from typing import Any

DEEPEST = 100  # levels of lists and objects inside a value


class Repeated:
    """The value of a key that an object has twice: refused where it is read."""


REPEATED = Repeated()


def checked(value: Any, depth: int = DEEPEST) -> Any:
    """A value as rows hold it: NaN is null, and bytes are UTF-8 text.

    ValueError, the end of a sentence about the column: a value that is infinite, text with half a character, a key that an object has
    twice, or more than DEEPEST levels of lists and objects.
    """
    if isinstance(value, str):
        if not value.isascii():
            check_characters(value)
        return value
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        if math.isinf(value):
            raise ValueError("is infinite, or too large for a floating-point number")
        return None if math.isnan(value) else value
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"is no UTF-8 text: byte 0x{value[error.start]:02x} at position {error.start}") from None
    if value is REPEATED:
        raise ValueError("occurs twice in the object")
    if not depth:
        raise ValueError(f"has more than {DEEPEST} levels of lists and objects")
    if isinstance(value, (list, tuple)):
        return [checked(each, depth - 1) for each in value]
    if isinstance(value, Mapping):
        return {key: checked(each, depth - 1) for key, each in value.items()}
    return value


def check_characters(text: str) -> None:
    """ValueError, the end of a sentence about the text: it has a lone surrogate, half of a character that UTF-16 writes as two units."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"has half a character (U+{ord(text[error.start]):04X}, a lone surrogate) at character {error.start}: remove it"
        ) from None


def text_form(value: Any) -> str:
    """A text as it is; a number as JSON writes it (1, 1.0, 1e+30); `true` or `false`. ValueError, the end of a sentence: any other value.

    >>> [text_form(value) for value in ("1", 1, 1.0, True)]
    ['1', '1', '1.0', 'true']
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return repr(value)
    kind = "null" if value is None else f"{shortened(value)}, of type {type(value).__name__}"
    raise ValueError(f"is {kind}; a text, a number, true or false is needed")
