"""Weights that training leaves as they are."""

from torch import nn

from framework.errors import UserError
from framework.utils.patterns import Patterns, listed, matching

OPTION = "model.freeze"


def freeze(task: nn.Module, patterns: Patterns) -> None:
    """Freezes the parameters whose name, without its leading `model.`, one of the shell patterns matches (`encoder.layers.[0-3].*`).

    They get no gradient and no optimizer state, and stay in checkpoints. What they compute is trained through as before, dropout
    included. UserError: a pattern matches nothing, or nothing is left to train.
    """
    named = {name.removeprefix("model."): parameter for name, parameter in task.named_parameters()}
    for name in matching(patterns, list(named), OPTION, "parameter"):
        named[name].requires_grad_(False)
    if patterns and not trained(task):
        raise UserError(f"{OPTION} leaves nothing to train: {', '.join(listed(patterns))}")


def trained(task: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that training changes, by name."""
    return {name: parameter for name, parameter in task.named_parameters() if parameter.requires_grad}


def frozen_lines(task: nn.Module, drawn: list[str]) -> list[str]:
    """A line about weights that were drawn anew and are frozen all the same; none if there are none."""
    learned, named = trained(task), dict(task.named_parameters())
    stuck = [name for name in drawn if name in named and name not in learned]
    more = f" and {len(stuck) - 3} more" if len(stuck) > 3 else ""
    return [f"  new and frozen   {', '.join(stuck[:3])}{more}: they stay as they were drawn"] if stuck else []
