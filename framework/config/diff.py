"""Differences between two configs of a model, as overrides."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from framework.config.catalogue import Catalogue


def differences(saved: Mapping[str, Any], config: Mapping[str, Any], catalogue: Catalogue) -> list[str]:
    """Overrides that turn the model node `config` into `saved`, without options that concern training only."""
    values = dict(_differences(saved, config, catalogue, ()))
    # a slot that follows its owner's needs no override of its own
    paths = [path for path, value in values.items() if not any((path[at:], value) in values.items() for at in range(1, len(path)))]
    return [_override(path, values[path]) for path in paths]


def _differences(
    saved: Mapping[str, Any], config: Mapping[str, Any], catalogue: Catalogue, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Any]]:
    another_part = bool(path) and saved.get("part") != config.get("part")
    for key, value in saved.items():
        if (another_part and key != "part") or "training_only" in catalogue.traits(saved.get("part", ""), key):
            continue
        if isinstance(value, Mapping) and isinstance(config.get(key), Mapping):
            yield from _differences(value, config[key], catalogue, (*path, key))
        elif not isinstance(value, Mapping) and (key not in config or not _same(config[key], value)):
            yield (*path, key), value


def _override(path: tuple[str, ...], value: Any) -> str:
    if path[-1] == "part":
        return f"{'/'.join(('model', *path[:-1]))}={value.partition('/')[2]}"
    return f"{'.'.join(('model', *path))}={value if isinstance(value, str) else json.dumps(value)}"


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal; numbers as far as people write them."""
    if isinstance(one, float) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=1e-6)
    return bool(one == other)
