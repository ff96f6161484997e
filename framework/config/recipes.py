"""Which recipe of its task a run takes: `recipe=NAME`, or what an experiment says, or by how the run begins."""

from collections.abc import Sequence

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from framework import registry
from framework.config.catalogue import GROUPS, Catalogue
from framework.config.hydra_source import SCRATCH, hydra_config, key_of
from framework.errors import UserError

FINETUNE = "finetune"


def recipe_of(words: Sequence[str]) -> str:
    """The name that is chosen; otherwise `finetune` where the command line or the experiment sets model.pretrained, else `scratch`."""
    chosen, pretrained = _typed(words, "recipe"), _typed(words, "model.pretrained")
    if not chosen and _typed(words, "experiment"):  # it may set either
        try:
            config = hydra_config([word for word in words if is_group_word(word) or key_of(word) == "model.pretrained"])
        except (HydraException, OmegaConfBaseException):
            return SCRATCH  # composing all words fails too, and is explained
        chosen, pretrained = config.hydra.runtime.choices.get("recipe"), config.model.get("pretrained")
    return chosen or (FINETUNE if pretrained else SCRATCH)


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


def _typed(words: Sequence[str], key: str) -> str | None:
    """The last value of a key; null where there is none, or null itself."""
    values = [word.partition("=")[2].strip("'\"") for word in words if key_of(word) == key and not word.startswith("~")]
    return values[-1] if values and values[-1] not in ("", "null") else None
