"""Entries of config.json about rotary embeddings, and options of the part `rotary`, in both directions."""

import math
from collections.abc import Mapping
from typing import Any

from framework.config.derived_defaults import effective
from framework.errors import UserError
from framework.huggingface.entries import entry
from framework.huggingface.layer_types import FULL, SLIDING
from framework.utils.typed import shown

# rope_type -> option of the part -> key, its type, and the value of an absent key (None: it has to be there)
_KINDS: dict[str, dict[str, tuple[str, type, Any]]] = {
    "default": {},
    "linear": {"factor": ("factor", float, None)},
    "llama3": {
        "factor": ("factor", float, None),
        "trained_length": ("original_max_position_embeddings", int, None),
        "slow": ("low_freq_factor", float, None),
        "fast": ("high_freq_factor", float, None),
    },
    "yarn": {
        "factor": ("factor", float, None),
        "trained_length": ("original_max_position_embeddings", int, None),
        "slow": ("beta_slow", float, 1.0),
        "fast": ("beta_fast", float, 32.0),
        "truncate": ("truncate", bool, True),
    },
}


def rotary_from_hf(config: Mapping[str, Any], base: float = 10000.0, fraction: bool = False) -> dict[str, Any]:
    """Options of the position, by `rope_parameters` of transformers 5, or `rope_theta` and `rope_scaling` of older files. base: of a file
    that has none. fraction: whether the family may rotate a share of the features. UserError: another kind of rotary embedding."""
    both = (entry(config, key, dict[str, Any] | None) for key in ("rope_parameters", "rope_scaling"))
    rope: dict[str, Any] = next(filter(None, both), {})
    share = entry(rope, "partial_rotary_factor", float | None, entry(config, "partial_rotary_factor", float | None))
    if not fraction and share not in (None, 1, 1.0):
        raise UserError(f"config.json has partial_rotary_factor={share}; this family needs 1.0")
    values = {"position.base": entry(rope, "rope_theta", float, entry(config, "rope_theta", float, base)), **scaling_from_hf(rope, config)}
    return {**values, "position.fraction": share or 1.0} if fraction else values


def scaling_from_hf(rope: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Options of the scaling of a rotary embedding, by its entries; empty where it has none. config: config.json."""
    kind = rope.get("rope_type", rope.get("type", "default"))
    if not isinstance(kind, str) or kind not in _KINDS:
        raise UserError(f"config.json has rope_type={shown(kind)}; supported values: {', '.join(_KINDS)}")
    if kind == "default":
        return {}
    rope = {"original_max_position_embeddings": config.get("max_position_embeddings"), **rope}
    table = _KINDS[kind]
    missing = [key for key, _, default in table.values() if default is None and key not in rope]
    if missing:
        raise UserError(f"config.json has rope_type={kind!r} without {', '.join(missing)}")
    values = {option: entry(rope, key, type, default) for option, (key, type, default) in table.items()}
    if kind == "yarn":
        values["temperature"] = _temperature(rope, values["factor"])
    return {"position.scaling": kind, **{f"position.{option}": value for option, value in values.items()}}


def _temperature(rope: Mapping[str, Any], factor: float) -> float | None:
    """The factor of queries and keys by the entries of YaRN; None = that of the paper."""
    factors = [entry(rope, key, float | None) for key in ("mscale", "mscale_all_dim")]
    if (given := entry(rope, "attention_factor", float | None)) is not None:
        return float(given)
    return yarn_scale(factor, factors[0]) / yarn_scale(factor, factors[1]) if all(factors) else None


def yarn_scale(factor: float, share: float | None) -> float:
    """The `mscale` of YaRN, of which a share of the logarithm is taken; None = 1."""
    return 0.1 * (1.0 if share is None else share) * math.log(factor) + 1.0 if factor > 1 else 1.0


def rotary_to_hf(position: Mapping[str, Any], fraction: bool = False) -> dict[str, Any]:
    """Entries of config.json for a rotary position, under the keys of transformers 5 and of older versions; empty for another position."""
    if position["part"] != "position/rotary":
        return {}
    base, scaling = position["base"], scaling_to_hf(position)
    share = {"partial_rotary_factor": position["fraction"]} if fraction else {}
    older = {} if scaling["rope_type"] == "default" else {"rope_scaling": scaling}
    return {"rope_theta": base, **share, **older, "rope_parameters": {**scaling, "rope_theta": base, **share}}


def two_bases_from_hf(config: Mapping[str, Any], keys: Mapping[str, tuple[str, float]]) -> dict[str, Any]:
    """Options of a position whose base is another one in layers with a window, by `rope_parameters` of transformers 5, or older keys.
    keys: kind of layer -> its older key, and the base of a file that has none. UserError: layers with a window scale it."""
    rope = entry(config, "rope_parameters", dict[str, dict[str, Any] | None] | None) or {}
    full, sliding = (rope.get(kind) or {} for kind in (FULL, SLIDING))
    base, local = (
        entry(entries, "rope_theta", float, entry(config, keys[kind][0], float, keys[kind][1]))
        for kind, entries in ((FULL, full), (SLIDING, sliding))
    )
    if (kind := sliding.get("rope_type", "default")) != "default":
        raise UserError(f"config.json has rope_type={shown(kind)} in {SLIDING}; layers with a window need 'default'")
    older = entry(config, "rope_scaling", dict[str, Any] | None) or {}
    scaling = scaling_from_hf(full if full.get("rope_type", "default") != "default" else older, config)
    return {"position.base": base, "position.local_base": local, **scaling}


def two_bases_to_hf(position: Mapping[str, Any], keys: Mapping[str, tuple[str, float]]) -> dict[str, Any]:
    """Entries of config.json for such a position; empty for another one."""
    if position["part"] != "position/rotary":
        return {}
    base, scaling = position["base"], scaling_to_hf(position)
    bases = {FULL: base, SLIDING: base if position["local_base"] is None else position["local_base"]}
    types = {FULL: scaling, SLIDING: {"rope_type": "default"}}
    older = {} if scaling["rope_type"] == "default" else {"rope_scaling": scaling}
    return {
        **{keys[kind][0]: bases[kind] for kind in bases},
        **older,
        "rope_parameters": {kind: {**types[kind], "rope_theta": bases[kind]} for kind in bases},
    }


def scaling_to_hf(position: Mapping[str, Any]) -> dict[str, Any]:
    """`rope_type` and its entries for a rotary position. UserError: transformers has no such scaling."""
    kind = position["scaling"] or "default"
    if kind not in _KINDS:
        raise UserError(f"this family has no model.position.scaling={kind}; supported values: {', '.join([*_KINDS][1:])}, null")
    entries = {key: effective({"position": position}, f"position.{option}") for option, (key, _, _) in _KINDS[kind].items()}
    if kind == "yarn":
        entries["attention_factor"] = effective({"position": position}, "position.temperature")
    return {"rope_type": kind, **entries}
