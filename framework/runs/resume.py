"""Overrides on top of a saved config: which options may change when a run is resumed or used, and why others may not."""

import copy
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

from framework.config import catalogue as index
from framework.config.catalogue import Catalogue
from framework.config.compose import compose, without_hydra
from framework.config.constraints import default_node, explicit_config, is_node, patterns, report
from framework.config.presets import with_named_nodes
from framework.config.quoting import quoted
from framework.config.validate import problems
from framework.errors import UserError
from framework.registry.layers import with_entries
from framework.runs.finding import resumes
from framework.runs.folder import Run
from framework.utils.files import refuse_links
from framework.utils.typed import shown

# Keys of the config that may not change, and why. Options say for themselves what else may change, or may not
# (framework.config.inventory).
_FIXED_IN_TRAINING = {
    "model": "the saved weights are of that model",
    "tokenizer": "the saved weights know that tokenizer's ids",
    "task": "the saved weights and metrics are of that task",
    "data": "the run would go on in the middle of other rows",
    "optimizer.part": "the saved optimizer state is of that optimizer",
    "seed": "order and dropout would not be those of one run",
    "name": "the run goes on in the same folder",
}
_FIXED_IN_USE = {
    "model": "the saved weights are of that model",
    "tokenizer": "the saved weights know that tokenizer's ids",
    "task.part": "the saved weights are of that task",
}


def changed(run: Run, overrides: Sequence[str], folders: Sequence[Path], training: bool) -> dict[str, Any]:
    """The run's config with overrides on top. UserError: an override is unknown or wrong, or changes what may not change."""
    if training:
        refuse_links(run.folder)
    catalogue = index.load()
    grown = {key: _grown(value, catalogue) for key, value in run.config().items()}
    saved = explicit_config({"report": False, **grown}, catalogue)
    config = copy.deepcopy(saved)
    overrides = without_hydra(quoted(text for text in overrides if not resumes(text)))
    recipes = [text for text in overrides if text.lstrip("+").startswith("recipe=")]
    if recipes:  # an exported folder has no record of its recipe
        taken = f"recipe={run.chosen().get('recipe')}"
        if another := [text for text in recipes if text.lstrip("+") != taken]:
            raise UserError(f"{another[0]}: the recipe may not change, this run took {taken}; set single values instead.")
        overrides = [text for text in overrides if text not in recipes]
    if overrides:
        _apply(config, overrides, run, folders)
        config = with_named_nodes(config, catalogue)
        config = explicit_config({key: following(value, saved.get(key), catalogue) for key, value in config.items()}, catalogue)
    wrong = list(problems(config, catalogue))
    wrong = wrong or [
        f"{path} may not change: {reason}. It was {before!r}, not {after!r}. Start a new run instead."
        for path, before, after in _differences(saved, config)
        if (reason := _fixed(path, _traits(saved, path, catalogue), training))
    ]
    wrong = wrong or report(config, catalogue)
    if wrong:
        raise UserError("\n".join(wrong[:6]))
    return config


def _fixed(path: str, traits: set[str], training: bool) -> str | None:
    """Why a value of the config may not change; None: it may."""
    if "may_change" in traits:
        return None
    if training and "optimizer_state" in traits:
        return "the saved optimizer state depends on it"
    fixed = _FIXED_IN_TRAINING if training else _FIXED_IN_USE
    return next((reason for key, reason in fixed.items() if f"{path}.".startswith(f"{key}.")), None)


def _traits(node: Any, path: str, catalogue: Catalogue) -> set[str]:
    """The traits of all options on a path into the config."""
    traits: set[str] = set()
    for key in path.split("."):
        traits |= set(catalogue.traits(node["part"], key)) if is_node(node) else set()
        node = node.get(key) if isinstance(node, Mapping) else None
    return traits


def _grown(node: Any, catalogue: Catalogue) -> Any:
    """A saved node with options that its part has got since, at their defaults: the run was trained as these say."""
    if not is_node(node):
        return node
    grown = {**default_node(node["part"], catalogue), **node}
    option = catalogue.option(node["part"])
    for name in patterns(option):
        grown[name] = with_entries(grown[name], lambda _, setting: {key: _grown(value, catalogue) for key, value in setting.items()})
    return {**grown, **{slot: _grown(grown[slot], catalogue) for slot in option["slots"]}}


def following(node: Any, saved: Any, catalogue: Catalogue, around: Mapping[str, Any] | None = None) -> Any:
    """A changed node with null in the slots that follow the owner's: those that did so in the saved node and were not changed themselves.
    around: the slots of the saved node's owners."""
    if not is_node(node) or not is_node(saved):
        return node
    result = dict(node)
    for slot, entry in catalogue.option(node["part"])["slots"].items():
        if node.get(slot) is not None and node[slot] == saved.get(slot) == (around or {}).get(entry["follows"]):
            result[slot] = None
        else:
            nearest = {name: part for name, part in saved.items() if name != slot and is_node(part)}
            result[slot] = following(node.get(slot), saved.get(slot), catalogue, {**(around or {}), **nearest})
    return result


def _apply(config: dict[str, Any], overrides: Sequence[str], run: Run, folders: Sequence[Path]) -> None:
    """Applies overrides: a group is composed again from the run's own overrides and this one; a value is set."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    from framework.config.hydra_compose import is_group_override
    from framework.config.recipes import is_group_word

    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except HydraException as error:
        raise UserError(f"{str(error).partition(chr(10))[0]}\nWrite key=value.") from error
    groups = [override for override in parsed if is_group_override(override, index.load())]
    if groups:
        saved = run.overrides()
        if wrong := [word for word in saved if is_group_word(word) and "${" in word]:
            raise UserError(f"{run.folder / 'run.json'}: {shown(wrong[0])} is an interpolation, and those of a run are not resolved")
        composed = compose([*saved, *(str(override.input_line) for override in groups)], folders, resolve=False).config
        for override in groups:
            path = override.key_or_group.split("/")
            _set(config, path, reduce(getitem, path, composed), override.key_or_group)
    for override in parsed:
        if override.is_sweep_override():
            raise UserError(f"{override.input_line}: a run is resumed or used with one value, not with a sweep")
        if override not in groups:
            _set(config, override.key_or_group.split("."), override.value(), override.key_or_group)


def _set(config: dict[str, Any], path: Sequence[str], value: Any, key: str) -> None:
    node: Any = config
    for name in path[:-1]:
        node = node.get(name) if isinstance(node, Mapping) else None
    if not isinstance(node, dict):
        raise UserError(f"{key}: the run has no such key; python train.py ... --cfg job prints all keys of a config")
    node[path[-1]] = value


def _differences(before: Any, after: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        keys = dict.fromkeys([*before, *after])
        return [each for key in keys for each in _differences(before.get(key), after.get(key), f"{path}.{key}".lstrip("."))]
    return [] if before == after else [(path, before, after)]
