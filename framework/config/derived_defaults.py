"""Defaults that depend on other options: what null stands for. Equivalent configs compare equal when they are normalized."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from framework.registry.layers import with_entries

Node = dict[str, Any]
Default = Callable[[Mapping[str, Any], Mapping[str, Any]], Any]  # (options of the part, options of the model) -> value for null

DEFAULTS: dict[str, dict[str, Default]] = {
    "attention/multi_head": {
        "num_kv_heads": lambda part, model: model["num_heads"],
        "scale": lambda part, model: (part["head_dim"] or model["dim"] // model["num_heads"]) ** -0.5,
        "head_dim": lambda part, model: model["dim"] // model["num_heads"],
        "input_bias": lambda part, model: model["bias"],
        "weights_dropout": lambda part, model: model["dropout"],
    },
    "attention/differential": {"weights_dropout": lambda part, model: model["dropout"]},
    "attention/latent": {
        "latent_dim": lambda part, model: 4 * (part["head_dim"] or model["dim"] // model["num_heads"]),
        "head_dim": lambda part, model: model["dim"] // model["num_heads"],
        "rotated_dim": lambda part, model: -(-(part["head_dim"] or model["dim"] // model["num_heads"]) // 4) * 2,
        "scale": lambda part, model: _latent_width(part, model) ** -0.5,
        "weights_dropout": lambda part, model: model["dropout"],
    },
    "feed_forward/mlp": {"hidden": lambda part, model: 4 * model["dim"]},
    "feed_forward/gated": {"hidden": lambda part, model: max(8, round(model["dim"] / 3) * 8)},
    "position/rotary": {
        "fast": lambda part, model: 32.0 if part["scaling"] == "yarn" else 4.0,
        "temperature": lambda part, model: 0.1 * math.log(part["factor"]) + 1.0 if part["scaling"] == "yarn" else None,
    },
    "model/encoder_decoder": {
        "num_decoder_layers": lambda part, model: model["num_layers"],
        "embedding_dim": lambda part, model: model["dim"],
    },
    "model/encoder_only": {"embedding_dim": lambda part, model: model["dim"]},
    "model/decoder_only": {"embedding_dim": lambda part, model: model["dim"]},
}


def _latent_width(part: Mapping[str, Any], model: Mapping[str, Any]) -> int:
    """Features of a query of latent attention, rotated or not."""
    head_dim = part["head_dim"] or model["dim"] // model["num_heads"]
    return int(head_dim + (part["rotated_dim"] or -(-head_dim // 4) * 2))


def normalized(node: Mapping[str, Any], model: Mapping[str, Any] | None = None) -> Node:
    """The node with null for every value that equals its derived default."""
    model = node if model is None else model
    defaults = DEFAULTS.get(node["part"], {})
    result: Node = {}
    for key, value in node.items():
        if isinstance(value, Mapping) and "part" in value:
            result[key] = normalized(value, model)
        elif key == "layers":
            result[key] = with_entries(value, lambda _, setting: _without_part(normalized({"part": "", **setting}, model)))
        else:
            result[key] = None if key in defaults and value == defaults[key](node, model) else value
    return result


def _without_part(node: Node) -> Node:
    return {key: value for key, value in node.items() if key != "part"}


def effective(node: Mapping[str, Any], path: str) -> Any:
    """The value at a path of a model's node (`feed_forward.hidden`), null replaced by its derived default; None where a part has no such
    slot or option."""
    *slots, name = path.split(".")
    inner: Any = node
    for slot in slots:
        if slot not in inner:
            return None
        inner = inner[slot]
    value = inner.get(name)
    default = DEFAULTS.get(inner["part"], {}).get(name)
    return default(inner, node) if value is None and default is not None else value
