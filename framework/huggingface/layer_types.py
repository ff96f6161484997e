"""Entries of config.json that differ by layer: `layer_types`, the layers with full attention and those with a sliding window."""

from collections.abc import Mapping
from typing import Any, Literal

from framework.errors import UserError
from framework.huggingface.entries import entry
from framework.registry.layers import layer_settings, shortest

FULL, SLIDING = "full_attention", "sliding_attention"
_MOST_LAYERS = 4096  # of any model here


def number_of_layers(config: Mapping[str, Any]) -> int:
    """`num_hidden_layers` of a config.json. UserError: there is no model with so many."""
    if (number := entry(config, "num_hidden_layers", int)) > _MOST_LAYERS:
        raise UserError(f"config.json has {number:,} layers; there is no such model")
    return number


def every_nth(config: Mapping[str, Any], key: str, default: int) -> int:
    """An entry of a config.json of which every so many layers are other ones. UserError: it is less than 1."""
    if (every := entry(config, key, int, default)) < 1:
        raise UserError(f"config.json has {key}={every:,}, and it must be at least 1")
    return int(every)


def window_pattern(config: Mapping[str, Any], full: list[bool]) -> list[Mapping[str, Any]] | None:
    """The pattern of layers of a stack with a window, whose layers of full attention have none. full: which those are where config.json
    has no `layer_types`. UserError: it has one for another number of layers."""
    types = entry(config, "layer_types", list[Literal["full_attention", "sliding_attention"]] | None)
    if types and len(types) != len(full):
        raise UserError(f"config.json has {len(types)} layer_types for {len(full)} layers")
    full = [kind == FULL for kind in types] if types else full
    return shortest([{"window": None} if is_full else {} for is_full in full])


def layer_types(stack: Mapping[str, Any], num_layers: int, place: str) -> tuple[list[str], int | None]:
    """`layer_types` of the config node of a stack, and its one size of windows; None where no layer has one. place: of the stack, for
    messages. UserError: its layers have windows of several sizes."""
    windows = [setting.get("window", stack["window"]) for setting in layer_settings(stack["layers"], num_layers)]
    sizes = {window for window in windows if window is not None}
    if len(sizes) > 1:
        raise UserError(f"this family has one window size; the layers of {place} have several: {windows}")
    return [FULL if window is None else SLIDING for window in windows], next(iter(sizes), None)
