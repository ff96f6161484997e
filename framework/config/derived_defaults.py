"""What null stands for in the options of our parts: two nodes that say the same thing in different words are equal in plain words."""

from collections.abc import Callable, Mapping
from typing import Any

Node = dict[str, Any]
Meaning = Callable[[Mapping[str, Any], Mapping[str, Any]], Any]  # (the part's own options, the model's) -> what null stands for

MEANINGS: dict[str, dict[str, Meaning]] = {
    "attention/multi_head": {
        "num_kv_heads": lambda own, model: model["num_heads"],
        "scale": lambda own, model: (own["head_dim"] or model["dim"] // model["num_heads"]) ** -0.5,
        "head_dim": lambda own, model: model["dim"] // model["num_heads"],
        "input_bias": lambda own, model: model["bias"],
        "weights_dropout": lambda own, model: model["dropout"],
    },
    "feed_forward/mlp": {"hidden": lambda own, model: 4 * model["dim"]},
    "feed_forward/gated": {"hidden": lambda own, model: max(8, round(model["dim"] / 3) * 8)},
    "model/encoder_decoder": {
        "num_decoder_layers": lambda own, model: model["num_layers"],
        "embedding_dim": lambda own, model: model["dim"],
    },
    "model/encoder_only": {"embedding_dim": lambda own, model: model["dim"]},
    "model/decoder_only": {"embedding_dim": lambda own, model: model["dim"]},
}


def plain(node: Mapping[str, Any], model: Mapping[str, Any] | None = None) -> Node:
    """The node with null for every value that is what null stands for."""
    model = node if model is None else model
    meanings = MEANINGS.get(node["part"], {})
    found: Node = {}
    for key, value in node.items():
        if isinstance(value, Mapping) and "part" in value:
            found[key] = plain(value, model)
        else:
            found[key] = None if key in meanings and value == meanings[key](node, model) else value
    return found


def meant(node: Mapping[str, Any], path: str) -> Any:
    """The value at a path of a model's node (`feed_forward.hidden`), with what null stands for in its place."""
    *slots, name = path.split(".")
    inner: Any = node
    for slot in slots:
        inner = inner[slot]
    value = inner.get(name)
    meaning = MEANINGS.get(inner["part"], {}).get(name)
    return meaning(inner, node) if value is None and meaning is not None else value
