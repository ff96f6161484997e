"""The one error that is the user's: printed without a traceback, exit code 2."""


class UserError(ValueError):
    """What, where and what would be right, in at most six lines. Anything else that is raised is a bug and shows its traceback."""
