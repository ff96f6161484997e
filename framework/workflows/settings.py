"""Settings that a task chooses from the training rows, for what neither the command line nor an experiment says."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from framework import registry
from framework.config.compose import Composed
from framework.config.presets import chosen_over
from framework.config.validate import EFFORTS
from framework.data.facts import Setting, read_facts, with_lengths
from framework.data.module import fit_statistics, train_tokenizer
from framework.data.sources.base import Source
from framework.errors import UserError
from framework.registry import build

Compose = Callable[[Mapping[str, Any]], Composed]  # settings -> the config with them


def chosen_settings(config: Mapping[str, Any], compose: Compose) -> tuple[Composed, list[Setting]] | None:
    """The config with the settings that its task chooses, and those settings; None where it chooses none.

    config: with the recipe as it stands. compose: composes the same command line with settings. First the tokenizer is chosen; it is
    trained, because the other settings depend on the lengths of the rows in tokens. UserError: an effort that changes nothing.
    """
    effort = EFFORTS[config["effort"]]
    format = build(config["task"]["format"])
    source = build(config["data"], format=format, seed=config["seed"])
    if effort is None or (why := _unchosen(config, source)):
        if effort not in (None, EFFORTS["standard"]):
            raise UserError(
                f"effort={config['effort']} changes nothing: {why}. Leave it out; trainer.max_epochs=N trains longer or shorter"
            )
        return None
    defaults: Any = registry.get(config["task"]["part"]).defaults  # type: ignore[attr-defined]
    facts = read_facts(source, format, effort)
    settings = list(defaults.tokenizer_settings(facts))
    composed = compose(joined(settings))
    tokenizer = train_tokenizer(source, build(composed.config["tokenizer"]), format)
    facts = with_lengths(facts, source, format, tokenizer, fit_statistics(source, format))
    settings += (one for one in defaults.settings(facts) if one.beside.items() <= composed.chosen.items())
    return _fitting(settings, compose)


def _fitting(settings: list[Setting], compose: Compose) -> tuple[Composed, list[Setting]]:
    """The config with settings, without those that contradict what the user has typed. UserError: what is typed is a mistake by itself."""
    try:
        return compose(joined(settings)), settings
    except UserError:
        kept: list[Setting] = []
        composed = compose({})
        for setting in settings:
            with suppress(UserError):
                composed = compose(joined([*kept, setting]))
                kept.append(setting)
        return composed, kept


def _unchosen(config: Mapping[str, Any], source: Source) -> str | None:
    """Why no settings are chosen; None where they are."""
    if config["model"].get("pretrained"):
        return "a run that begins from trained weights takes its recipe as it stands"
    if config["task"].get("teacher"):
        return "a student takes the recipe of its teacher's task as it stands"
    if not source.settings_from_rows:
        return "recipes are tuned to the built-in rows"
    if registry.get(config["task"]["part"]).defaults is None:  # type: ignore[attr-defined]
        return f"{config['task']['part']} has no rules that choose settings from rows"
    return None if "train" in source.splits else "there are no training rows"


def joined(settings: Iterable[Setting]) -> dict[str, Any]:
    """The values of several settings in one mapping."""
    values: dict[str, Any] = {}
    for setting in settings:
        values = chosen_over(values, setting.values)
    return values


def setting_lines(settings: Sequence[Setting], composed: Composed) -> list[str]:
    """A line for each value of a setting that is in effect: `model.max_length 256: 97 % of the rows whole`. One that the user, or an
    experiment, has set to something else is left out."""
    lines = []
    for setting in settings:
        values = [f"{path} {value}" for path, value in _flat(setting.values) if value in _at(composed, path)]
        lines += [f"{', '.join(values)}: {setting.reason}"] if values else []
    return lines


def _flat(values: Mapping[str, Any], path: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in values.items():
        here = path if key == "is" else f"{path}.{key}".lstrip(".")
        if isinstance(value, Mapping):
            yield from _flat(value, here)
        else:
            yield here, value


def _at(composed: Composed, path: str) -> tuple[Any, ...]:
    """The value at a path of a config; at a slot the names of its part and of the preset that was chosen."""
    node: Any = composed.config
    for key in path.split("."):
        node = node.get(key) if isinstance(node, Mapping) else None
    if isinstance(node, Mapping) and "part" in node:
        return str(node["part"]).partition("/")[2], composed.chosen.get(path.replace(".", "/"))
    return (node,)
