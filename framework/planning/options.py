"""Options of a plan, which stand among the overrides of `check`."""

from collections.abc import Sequence

from framework.errors import UserError

OPTIONS = ("tflops", "bandwidth")


def split_options(words: Sequence[str]) -> tuple[dict[str, float], list[str]]:
    """The options of a plan among overrides, and the other words. UserError: one of them is no positive number."""
    options, rest = {}, []
    for word in words:
        name, _, value = word.partition("=")
        if name not in OPTIONS:
            rest.append(word)
            continue
        try:
            options[name] = float(value)
        except ValueError:
            options[name] = 0.0
        if not 0 < options[name] < float("inf"):
            unit = "TFLOP/s that a device reaches" if name == "tflops" else "GB/s that a device sends"
            raise UserError(f"{word}: write a positive number of {unit}, as in {name}=100")
    return options, rest
