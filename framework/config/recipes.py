"""Whether a task has the recipe that is chosen, and which overrides choose an option."""

from framework import registry
from framework.config.catalogue import GROUPS, Catalogue
from framework.config.hydra_source import key_of
from framework.errors import UserError


def check_recipe(chosen: str | None, task: str, catalogue: Catalogue) -> None:
    """UserError: the task has no such recipe."""
    names = catalogue.names(f"recipe/{task}")
    if chosen and chosen not in names:
        raise UserError(
            f"recipe: task/{task} has no recipe {chosen!r}{registry.nearest(chosen, names)}; it has: {', '.join(names) or 'none'}"
        )


def is_group_word(word: str) -> bool:
    """Whether an override chooses an option, as far as its key shows."""
    return "/" in key_of(word) or key_of(word) in GROUPS
