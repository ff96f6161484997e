"""Error messages for command lines that Hydra refuses: which group, option or key is wrong, and the nearest one that exists."""

from collections.abc import Iterator
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from framework import registry
from framework.config.catalogue import FILES, GROUPS, NAMED, Catalogue
from framework.config.constraints import is_node
from framework.config.hydra_compose import hydra_config, is_group_override, plain_config
from framework.config.hydra_source import key_of
from framework.config.other_words import meant
from framework.config.recipes import is_group_word
from framework.errors import UserError


def diagnose(overrides: list[str], catalogue: Catalogue, error: Exception) -> list[str]:
    """Why Hydra refused a command line: its grammar, then groups, then keys; else the first line of Hydra's own message."""
    parsed: list[Override] = []
    for text in overrides:
        try:
            parsed.append(OverridesParser.create().parse_override(text))
        except HydraException:
            return [f"{text}: this is not key=value. Quote values that contain spaces, commas or brackets: 'key=\"a b\"'."]
    wrong = [line for override in parsed for line in _wrong_group(override, catalogue)]
    if wrong:
        return wrong
    groups = [text for text, override in zip(overrides, parsed, strict=True) if is_group_override(override, catalogue)]
    try:
        base = plain_config(hydra_config(groups))
    except (HydraException, OmegaConfBaseException) as deeper:
        missing = [line for override in parsed for line in _absent_slot(override, overrides, catalogue)]
        return missing or [_first_line(deeper)]
    known = set(_keys(base))
    wrong = [
        _unknown_key(override.key_or_group, base, known, override.input_line or "")
        for override in parsed
        if not is_group_override(override, catalogue) and not override.is_force_add() and not override.key_or_group.startswith("hydra")
        if override.key_or_group not in known and not override.is_add()
    ]
    return wrong or [_first_line(error)]


def unreadable(overrides: list[str], catalogue: Catalogue) -> list[str]:
    """A line for each override that Hydra would read as something else, or end at: one without a key, one of several values where there is
    one run, and a group that is given a number, a list or a mapping. Groups of named nodes and of files take lists."""
    wrong = []
    for text in overrides:
        if not key_of(text):
            wrong.append(f"{text}: a key is missing; write key=value")
            continue
        try:
            override = OverridesParser.create().parse_override(text)
        except HydraException:
            continue  # composing fails too, and is explained
        if override.is_sweep_override():
            wrong.append(f"{text}: several values; a list is {key_of(text)}=[A,B], decimals have a point, -m trains with each")
            continue
        value = override.value()
        group = override.key_or_group
        kind = catalogue.kind_at(group) if is_group_override(override, catalogue) else None
        several = isinstance(value, list) and group in (*NAMED, *FILES)
        named = text.partition("=")[2] in (catalogue.names(kind) if kind else ())  # an option may be called `nan`
        if kind and not (value is None or isinstance(value, str) or several or named):
            names, path = "|".join(catalogue.names(kind)), group.replace("/", ".")
            wrong.append(f"{text}: choose one option, {group}={names}; its values are {path}.KEY=VALUE")
    return wrong


def _wrong_group(override: Override, catalogue: Catalogue) -> Iterator[str]:
    """Groups and options that do not exist."""
    key = override.key_or_group
    if not is_group_override(override, catalogue) or key.startswith("hydra") or not isinstance(value := override.value(), str):
        return
    kind = catalogue.kind_at(key)
    if kind is None or ("/" not in key and key not in GROUPS):
        paths = [path for path, _ in catalogue.groups()]
        inside = [path for path in paths if path.endswith(f"/{key}")]
        if way := meant(key, (), value):
            yield f"{key}: there is no such group; write {way}"
            return
        near = f" (did you mean {inside[0]!r}?)" if inside else registry.nearest(key, paths)
        yield f"{key}: there is no such group{near}; groups: {', '.join(GROUPS)}"
    elif not catalogue.has(kind, value):
        yield f"{key}: {catalogue.absent(kind, value)}"


def _absent_slot(override: Override, overrides: list[str], catalogue: Catalogue) -> Iterator[str]:
    """A slot that the part chosen above it does not have."""
    key = override.key_or_group
    if "/" not in key:
        return
    others = [text for text in overrides if not text.lstrip("+~").startswith(f"{key}=") and not text.lstrip("+~").startswith(f"{key}/")]
    try:
        node: Any = plain_config(hydra_config([text for text in others if is_group_word(text)]))
    except (HydraException, OmegaConfBaseException, UserError):
        return
    names = key.split("/")
    for depth, slot in enumerate(names):
        if is_node(node) and slot not in (slots := list(catalogue.option(node["part"])["slots"])):
            yield f"{key}: {node['part']} has no slot {slot!r}{registry.nearest(slot, slots)}; it has: {', '.join(slots) or 'none'}"
            return
        if node is None:
            above = "/".join(names[:depth])
            yield f"{key}: {above} is not chosen; it follows its owner's. Choose it first: {above}=NAME"
            return
        node = node.get(slot)


def _keys(node: Any, path: str = "") -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            inner = f"{path}.{key}".lstrip(".")
            yield inner
            yield from _keys(value, inner)


def _unknown_key(key: str, base: dict[str, Any], known: set[str], word: str) -> str:
    if way := meant(key, known, word.partition("=")[2]):
        return f"{key}: there is no such key; write {way}"
    above, _, last = key.rpartition(".")
    node: Any = base
    for name in above.split(".") if above else ():
        if not isinstance(node, dict) or name not in node:
            return f"{key}: there is no such key{registry.nearest(key, known)}"
        if node[name] is None:
            first, *_, slot, option = key.split(".")
            way = f"Choose it with {above.replace('.', '/')}=NAME, or set {first}.{slot}.{option}"
            return f"{key}: {above} is not chosen; it follows its owner's. {way}"
        node = node[name]
    names = [name for name in (node if isinstance(node, dict) else {}) if name != "part"]
    what = node["part"] if is_node(node) else "the top level" if not above else above
    if key in ("task.teacher", "task.distillation"):
        return f"{key}: {what} cannot be distilled: its class does not inherit Distillable (docs/distillation.md)"
    if key == "task.reference":
        return f"{key}: {what} compares its model with no other: its class does not inherit WithReference (docs/write_a_task.md)"
    close = registry.nearest(last, names) or registry.nearest(key, known)
    return f"{key}: {what} has no such option{close}; it has: {', '.join(names)}"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
