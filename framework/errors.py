"""The error for mistakes of the user: printed without a traceback, exit code 2."""


class UserError(ValueError):
    """A mistake of the user: what is wrong, where, and what to type, in at most six lines. Other exceptions are bugs and show a traceback.

    >>> try:
    ...     compose(["task=ner", "model.num_layer=4"])
    ... except UserError as error:
    ...     print("did you mean 'num_layers'?" in str(error) or str(error))
    True
    """
