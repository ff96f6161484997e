"""Rotary embeddings in config.json: `rope_parameters` of transformers 5, and `rope_theta` and `rope_scaling` of older files."""

from collections.abc import Mapping
from typing import Any

from framework.errors import UserError
from framework.huggingface.family import Config

_LLAMA3 = {
    "position.factor": "factor",
    "position.trained_length": "original_max_position_embeddings",
    "position.slow": "low_freq_factor",
    "position.fast": "high_freq_factor",
}


def rotary_from_hf(config: Mapping[str, Any], default_base: float = 10000.0) -> tuple[str, dict[str, Any]]:
    """The position part and its options; default_base: if the file has none. UserError: another kind of rotary embedding."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    base = rope.get("rope_theta", config.get("rope_theta", default_base))
    share = rope.get("partial_rotary_factor", config.get("partial_rotary_factor"))
    if share not in (None, 1, 1.0):
        raise UserError(f"config.json has partial_rotary_factor={share}; this family needs 1.0")
    if kind == "default":
        return "rotary", {"position.base": base}
    if kind != "llama3":
        raise UserError(f"config.json has rope_type={kind!r}; supported values: default, llama3")
    missing = [key for key in _LLAMA3.values() if key not in rope and key != "original_max_position_embeddings"]
    if missing:
        raise UserError(f"config.json has rope_type='llama3' without {', '.join(missing)}")
    rope = {"original_max_position_embeddings": config.get("max_position_embeddings"), **rope}
    return "scaled_rotary", {"position.base": base, **{path: rope[key] for path, key in _LLAMA3.items()}}


def rotary_to_hf(position: Mapping[str, Any]) -> Config:
    """Entries of config.json for a rotary position, under the keys of transformers 5 and of older versions; empty for another position."""
    if position["part"] not in ("position/rotary", "position/scaled_rotary"):
        return {}
    if position["part"] == "position/rotary":
        return {"rope_theta": position["base"], "rope_parameters": {"rope_type": "default", "rope_theta": position["base"]}}
    scaling = {"rope_type": "llama3", **{key: position[path.partition(".")[2]] for path, key in _LLAMA3.items()}}
    return {"rope_theta": position["base"], "rope_scaling": scaling, "rope_parameters": {**scaling, "rope_theta": position["base"]}}
