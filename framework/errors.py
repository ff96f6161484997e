"""The error for mistakes of the user, printed without a traceback (exit code 2), that of a failed process, and the place of an error in
other people's code."""

import traceback
from pathlib import Path


class UserError(ValueError):
    """A mistake of the user: what is wrong, where, and what to type, in at most six lines. Other exceptions are bugs and show a traceback.

    >>> try:
    ...     compose(["task=ner", "model.num_layer=4"])
    ... except UserError as error:
    ...     print("did you mean 'num_layers'?" in str(error) or str(error))
    True
    """


class RankFailed(Exception):
    """A process of a run in several has failed, and has printed why. code: its exit code, 128 + N where signal N ended it."""

    def __init__(self, message: str, code: int):
        super().__init__(message)
        self.code = code


def place_of(error: BaseException, folder: Path) -> str:
    """One line about an exception that code in a folder raised: file and line of the last frame there, type and message."""
    message = " ".join(str(error).split())[:300]
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}: {type(error).__name__}: {error.msg}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(folder)]
    place = f"{frames[-1].filename}, line {frames[-1].lineno}: " if frames else ""
    kind = "" if isinstance(error, UserError) else type(error).__name__
    return f"{place}{': '.join(filter(None, (kind, message)))}"
