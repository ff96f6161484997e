"""The rotary positions of a config.json: as transformers 5 writes them (`rope_parameters`), and as files have them that are older."""

from collections.abc import Mapping
from typing import Any

from framework.errors import UserError
from framework.huggingface.family import Config

_STRETCHED = {
    "position.factor": "factor",
    "position.trained_length": "original_max_position_embeddings",
    "position.slow": "low_freq_factor",
    "position.fast": "high_freq_factor",
}


def chosen_rotary(config: Mapping[str, Any], usual: float = 10000.0) -> tuple[str, dict[str, Any]]:
    """The position and its values; usual: the base where a file does not say. UserError: a rotation that there is no part for."""
    told = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = told.get("rope_type", told.get("type", "default"))
    base = told.get("rope_theta", config.get("rope_theta", usual))
    share = told.get("partial_rotary_factor", config.get("partial_rotary_factor"))
    if share not in (None, 1, 1.0):
        raise UserError(f"config.json has partial_rotary_factor={share}, and this family is read with heads that turn as a whole")
    if kind == "default":
        return "rotary", {"position.base": base}
    if kind != "llama3":
        raise UserError(f"config.json has rope_type={kind!r}, and there is no part for it; there are parts for default, llama3")
    lacking = [theirs for theirs in _STRETCHED.values() if theirs not in told and theirs != "original_max_position_embeddings"]
    if lacking:
        raise UserError(f"config.json has rope_type='llama3' without {', '.join(lacking)}")
    told = {"original_max_position_embeddings": config.get("max_position_embeddings"), **told}
    return "scaled_rotary", {"position.base": base, **{ours: told[theirs] for ours, theirs in _STRETCHED.items()}}


def their_rotary(position: Mapping[str, Any]) -> Config:
    """What a config.json says of a rotary position, in the new words and in the old ones; nothing of any other position."""
    if position["part"] not in ("position/rotary", "position/scaled_rotary"):
        return {}
    if position["part"] == "position/rotary":
        return {"rope_theta": position["base"], "rope_parameters": {"rope_type": "default", "rope_theta": position["base"]}}
    scaling = {"rope_type": "llama3", **{theirs: position[ours.partition(".")[2]] for ours, theirs in _STRETCHED.items()}}
    return {"rope_theta": position["base"], "rope_scaling": scaling, "rope_parameters": {**scaling, "rope_theta": position["base"]}}
