"""The error for mistakes of the user: printed without a traceback, exit code 2."""


class UserError(ValueError):
    """What is wrong, where, and what to type, in at most six lines. Other exceptions are bugs and show a traceback."""
