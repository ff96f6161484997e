"""What makes one model another: options that differ, as overrides."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

# Options of a model that change nothing it has learned.
_OF_TRAINING = (
    "pretrained",
    "init_layers",
    "freeze",
    "adapter",
    "dropout",
    "weights_dropout",
    "inner_dropout",
    "initial_std",
    "activation_checkpointing",
)


def differences(saved: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """Overrides that would make a model the saved one, but for what concerns training alone."""
    found = dict(_differences(saved, config, ()))
    # what a slot only follows its owner in need not be said again
    own = [path for path, value in found.items() if not any((path[at:], value) in found.items() for at in range(1, len(path)))]
    return [_override(path, found[path]) for path in own]


def _differences(saved: Mapping[str, Any], config: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    other = saved.get("part") != config.get("part")
    for key, value in saved.items():
        if key in _OF_TRAINING or (other and path and key != "part"):
            continue
        if isinstance(value, Mapping) and isinstance(config.get(key), Mapping):
            yield from _differences(value, config[key], (*path, key))
        elif not isinstance(value, Mapping) and (key not in config or not _same(config[key], value)):
            yield (*path, key), value


def _override(path: tuple[str, ...], value: Any) -> str:
    if path[-1] == "part":
        return f"{'/'.join(('model', *path[:-1]))}={value.partition('/')[2]}"
    return f"{'.'.join(('model', *path))}={value if isinstance(value, str) else json.dumps(value)}"


def _same(one: Any, other: Any) -> bool:
    """Equal; of two numbers, as near as people write them."""
    if isinstance(one, float) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=1e-6)
    return bool(one == other)
