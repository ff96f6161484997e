"""Settings that a task chooses from the training rows, for what neither the command line nor an experiment says."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from framework import registry
from framework.config.compose import Composed
from framework.config.presets import chosen_over
from framework.data.facts import Setting, read_facts, with_lengths
from framework.data.module import fit_statistics, train_tokenizer
from framework.registry import build

EFFORTS = {"small": 0.33, "standard": 1.0, "large": 4.0}  # computing, relative to the default

Compose = Callable[[Mapping[str, Any]], Composed]  # settings -> the config with them


def chosen_settings(config: Mapping[str, Any], compose: Compose) -> tuple[Composed, list[Setting]] | None:
    """The config with the settings that its task chooses, and those settings; None where it chooses none.

    config: with the recipe as it stands. compose: composes the same command line with settings. First the tokenizer is chosen; it is
    trained, because the other settings depend on the lengths of the rows in tokens.
    """
    effort = EFFORTS.get(config["effort"])
    format = build(config["task"]["format"])
    source = build(config["data"], format=format, seed=config["seed"])
    task: Any = registry.get(config["task"]["part"])
    if effort is None or config["task"].get("teacher") or not source.settings_from_rows or "train" not in source.splits:
        return None  # a student is as its teacher makes it
    facts = read_facts(source, format, effort)
    settings = list(task.tokenizer_settings(facts))
    composed = compose(joined(settings))
    tokenizer = train_tokenizer(source, build(composed.config["tokenizer"]), format)
    facts = with_lengths(facts, source, format, tokenizer, fit_statistics(source, format))
    settings += (one for one in task.settings(facts) if one.beside.items() <= composed.chosen.items())
    return (compose(joined(settings)), settings) if settings else None


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
