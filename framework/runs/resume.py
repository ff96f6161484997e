"""A saved config as the base of another run: what may change, and the reason where something may not."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from framework.config import catalogue as index
from framework.config.catalogue import Catalogue
from framework.config.constraints import default_node, explicit, is_node, report
from framework.config.validate import problems
from framework.errors import UserError
from framework.runs.folder import Run

# Paths into the config, and what a change of them would break. Nothing here: it may change.
_FIXED_IN_TRAINING = {
    "model": "the saved weights are of that model",
    "model.freeze": "the saved optimizer state is of the weights that were trained",
    "tokenizer": "the saved weights know that tokenizer's ids",
    "task": "the saved weights and figures are of that task",
    "data": "the run would go on in the middle of other rows",
    "optimizer.part": "the saved optimizer state is of that optimizer",
    "optimizer.layer_decay": "the saved optimizer state lies in groups of one rate",
    "optimizer.head_lr_multiplier": "the saved optimizer state lies in groups of one rate",
    "seed": "order and dropout would not be those of one run",
    "name": "the run goes on in the same folder",
}
_FIXED_IN_USE = {
    "model": "the saved weights are of that model",
    "tokenizer": "the saved weights know that tokenizer's ids",
    "task.part": "the saved weights are of that task",
}
_PATHS = ("data.folder", "data.train", "data.validation", "data.test", "data.published", "task.teacher", "task.baseline")


def run_to_resume(overrides: Sequence[str], root: Path, name: str | None, task: str | None) -> Run | None:
    """The run that `resume=` names. `auto`: the newest of that task and name, if there is one."""
    wanted = [text.partition("=")[2] for text in overrides if text.lstrip("+").startswith("resume=")]
    if not wanted or wanted[-1] in ("null", ""):
        return None
    if wanted[-1] != "auto":
        return Run.open(Path(wanted[-1].strip("'\"")))
    if not name:
        raise UserError("resume=auto needs name=NAME: the run to go on with, or to start if there is none.")
    return Run.newest(root, task, name)


def changed(run: Run, overrides: Sequence[str], folders: Sequence[Path], training: bool) -> dict[str, Any]:
    """The run's config with overrides on top. UserError: one that is unknown, wrong, or would not be the same run."""
    catalogue = index.load()
    saved = {key: _grown(value, catalogue) for key, value in run.config().items()}
    config = copy.deepcopy(saved)
    overrides = [text for text in overrides if not text.lstrip("+").startswith("resume=")]
    if overrides:
        _apply(config, overrides, run, folders)
    wrong = problems(config, catalogue)
    fixed = _FIXED_IN_TRAINING if training else _FIXED_IN_USE
    wrong = wrong or [
        f"{path} may not change: {fixed[rule]}. It was {before!r}, not {after!r}. Start a new run instead."
        for path, before, after in _differences(saved, config)
        for rule in [rule for rule in fixed if path == rule or path.startswith(f"{rule}.")][-1:]  # the nearest
        if path not in _PATHS
    ]
    wrong = wrong or report(config, catalogue)
    if wrong:
        raise UserError("\n".join(wrong[:6]))
    return {key: explicit(value, catalogue) if is_node(value) else value for key, value in config.items()}


def _grown(node: Any, catalogue: Catalogue) -> Any:
    """A saved node with the options that its part has got since: at their defaults, which are what the run did."""
    if not is_node(node):
        return node
    option = catalogue.option(node["part"])
    grown = {**{name: copy.deepcopy(field["default"]) for name, field in option["fields"].items()}, **node}
    for slot, entry in option["slots"].items():
        new = None if entry["follows"] or entry["default"] is None else default_node(f"{entry['kind']}/{entry['default']}", catalogue)
        grown[slot] = _grown(node.get(slot, new), catalogue)
    return grown


def _apply(config: dict[str, Any], overrides: Sequence[str], run: Run, folders: Sequence[Path]) -> None:
    """A group override takes that group as it would be composed with the run's own overrides; a value is simply set."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    from framework.config.compose import compose
    from framework.config.hydra_source import is_group_override

    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except HydraException as error:
        raise UserError(f"{str(error).partition(chr(10))[0]}\nWrite key=value.") from error
    groups = [override for override in parsed if is_group_override(override, index.load())]
    if groups:
        composed = compose([*run.overrides(), *(str(override.input_line) for override in groups)], folders).config
        for override in groups:
            _set(config, override.key_or_group.split("/"), _at(composed, override.key_or_group.split("/")), override.key_or_group)
    for override in parsed:
        if override not in groups:
            value = override.value()
            _set(config, override.key_or_group.split("."), _plain(value), override.key_or_group)


def _plain(value: Any) -> Any:
    """Hydra's quoted strings and the like as plain Python."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return value if isinstance(value, (int, float, bool, str, type(None))) else getattr(value, "text", str(value))


def _at(node: Any, path: Sequence[str]) -> Any:
    for key in path:
        node = node[key]
    return node


def _set(config: dict[str, Any], path: Sequence[str], value: Any, key: str) -> None:
    node: Any = config
    for name in path[:-1]:
        node = node.get(name) if isinstance(node, Mapping) else None
    if not isinstance(node, dict):
        raise UserError(f"{key}: the run has no such key; python train.py ... --cfg job shows what a config has")
    node[path[-1]] = value


def _differences(before: Any, after: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        keys = dict.fromkeys([*before, *after])
        return [found for key in keys for found in _differences(before.get(key), after.get(key), f"{path}.{key}".lstrip("."))]
    return [] if before == after else [(path, before, after)]
