"""Frozen parameters: weights that training leaves unchanged."""

from torch import nn

from framework.errors import UserError
from framework.utils.patterns import Patterns, listed, matching

OPTION = "model.freeze"


def freeze(task: nn.Module, patterns: Patterns) -> None:
    """Freezes the parameters whose name, without its leading `model.`, matches one of the shell patterns (`encoder.layers.[0-3].*`).

    Frozen parameters have no gradient and no optimizer state, and stay in checkpoints. Gradients flow through their modules as before, and
    dropout in them stays active. UserError: a pattern matches nothing, or nothing is left to train.
    """
    parameters = {name.removeprefix("model."): parameter for name, parameter in task.named_parameters()}
    for name in matching(patterns, list(parameters), OPTION, "parameter"):
        parameters[name].requires_grad_(False)
    if patterns and not trained(task):
        raise UserError(f"{OPTION} leaves nothing to train: {', '.join(listed(patterns))}")


def trained(task: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that are not frozen, by name."""
    return {name: parameter for name, parameter in task.named_parameters() if parameter.requires_grad}


def frozen_lines(task: nn.Module, missing: list[str]) -> list[str]:
    """A line that warns of parameters that are newly initialized and frozen; none if there are none. missing: the former."""
    learned, parameters = trained(task), dict(task.named_parameters())
    stuck = [name for name in missing if name in parameters and name not in learned]
    more = f" and {len(stuck) - 3} more" if len(stuck) > 3 else ""
    return [f"  new and frozen     {', '.join(stuck[:3])}{more}: they keep their random values"] if stuck else []
