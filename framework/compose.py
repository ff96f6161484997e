"""From a command line to a checked, explicit config; the only place besides the launcher that speaks with Hydra.

Hydra finds options in the catalogue through a config source of ours: nothing is stored beforehand, a node is made when chosen.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from framework import catalogue as index
from framework import registry
from framework.catalogue import GROUPS, NAMED, Catalogue
from framework.discovery import conf_folder
from framework.errors import UserError
from framework.legality import explicit, is_node, report
from framework.validate import TOP, problems


class CatalogueSource(ConfigSource):
    """Hands Hydra the options of the catalogue: registered parts as nodes, presets as their files, at every slot of their kind."""

    @staticmethod
    def scheme() -> str:
        return "catalogue"

    def load_config(self, config_path: str) -> ConfigResult:
        group, _, name = config_path.removesuffix(".yaml").rpartition("/")
        catalogue = index.load()
        kind = catalogue.kind_at(group) if group else None
        header: dict[str, str | None] = {"package": None}
        if not group:
            config = OmegaConf.load(conf_folder() / f"{name}.yaml")
        elif group == "recipe":
            config = OmegaConf.create(catalogue.option(f"task/{name}")["declarations"]["recipe"])
        elif kind and name in catalogue.options.get(kind, {}):
            config = OmegaConf.create(_node(f"{kind}/{name}", catalogue))
        elif kind and name in catalogue.presets.get(kind, {}):
            text = Path(catalogue.presets[kind][name]["file"]).read_text(encoding="utf-8")
            header, config = self._get_header_dict(text), OmegaConf.create(text)
        else:
            raise ConfigLoadError(f"Config not found: {config_path}")
        return ConfigResult(provider=self.provider, path=self.full_path(), config=config, header=header)

    def available(self) -> bool:
        return True

    def is_group(self, config_path: str) -> bool:
        return config_path in ("", "recipe") or index.load().kind_at(config_path) is not None

    def is_config(self, config_path: str) -> bool:
        group, _, name = config_path.removesuffix(".yaml").rpartition("/")
        if not group:
            return (conf_folder() / f"{name}.yaml").is_file()
        kind = index.load().kind_at(group)
        return group == "recipe" or (kind is not None and name in index.load().names(kind))

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        catalogue = index.load()
        kind = catalogue.kind_at(config_path) if config_path else None
        slots = list(catalogue.slots(kind)) if kind else [] if config_path else list(GROUPS)
        names = catalogue.names(kind) if kind else []
        return sorted({*(slots if results_filter != ObjectType.CONFIG else ()), *(names if results_filter != ObjectType.GROUP else ())})


class CatalogueSearchPath(SearchPathPlugin):
    """Puts the catalogue, and folders of the user's own, on Hydra's search path."""

    folders: tuple[Path, ...] = ()

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        search_path.append("plugformer", "catalogue://")
        for folder in self.folders:
            search_path.append("--config-dir", f"file://{folder}")


def attach(folders: Iterable[Path] = ()) -> None:
    """Makes Hydra look into the catalogue and into folders of the user's own."""
    CatalogueSearchPath.folders = tuple(folders)
    SourcesRegistry.instance().register(CatalogueSource)
    Plugins.instance().register(CatalogueSearchPath)


def _node(part: str, catalogue: Catalogue) -> dict[str, Any]:
    """A registered part as Hydra wants it. `_self_` comes first: last, it would undo a choice for an empty slot."""
    option = catalogue.option(part)
    slots = [{slot: entry["default"] if not entry["follows"] else None} for slot, entry in option["slots"].items()]
    # What a task brings along: options of other groups, and values that suit it (its recipe, set after the presets').
    chosen = option["declarations"].get("defaults", {})
    brought = [{f"override /{group}@_global_.{group.replace('/', '.')}": name} for group, name in chosen.items()]
    recipe = [{"/recipe@_global_": part.partition("/")[2]}] if option["declarations"].get("recipe") else []
    fields = {name: field["default"] for name, field in option["fields"].items()} | dict.fromkeys(option["slots"])
    return {"defaults": ["_self_", *slots, *recipe, *brought], "part": part, **fields}


@dataclass(frozen=True)
class Composed:
    """A checked run: config is plain and explicit; overrides are what the user typed; chosen is group -> option."""

    config: dict[str, Any]
    overrides: list[str]
    chosen: dict[str, str]


def compose(overrides: list[str], folders: Iterable[Path] = ()) -> Composed:
    """The explicit config of a command line. UserError: everything that is wrong with it."""
    attach(folders)
    catalogue = index.load()
    overrides = open_dictionaries(overrides, catalogue)
    try:
        config = _hydra(overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError("\n".join(_diagnose(overrides, catalogue, error))) from error
    return finish(config, config.hydra.runtime.choices, overrides)


def finish(config: DictConfig, choices: DictConfig, overrides: list[str]) -> Composed:
    """What Hydra composed, checked and made explicit. UserError: everything that is wrong with it."""
    catalogue = index.load()
    chosen = {str(key): str(name) for key, name in choices.items() if name is not None and not str(key).startswith("hydra")}
    plain = plain_config(config)
    wrong = problems(plain, catalogue) or _columns(plain, catalogue) or report(plain, catalogue)
    if wrong:
        raise UserError(shorten(wrong))
    plain = {key: explicit(value, catalogue) if is_node(value) else value for key, value in plain.items()}
    plain["name"] = plain["name"] or default_name(plain, overrides)
    return Composed(plain, overrides, chosen)


def plain_config(config: DictConfig) -> dict[str, Any]:
    """Without Hydra's own part and interpolations."""
    try:
        whole = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(str(error).partition("\n")[0]) from error
    assert isinstance(whole, dict)
    return {str(key): value for key, value in whole.items() if key != "hydra"}


def _hydra(overrides: list[str]) -> DictConfig:
    GlobalHydra.instance().clear()
    with initialize(version_base="1.3", config_path=None):
        return hydra_compose("config", overrides=overrides, return_hydra_config=True)


def open_dictionaries(overrides: list[str], catalogue: Catalogue) -> list[str]:
    """`data.columns.text=review` may name a key that is not there yet: the user need not write `++`."""
    open_fields = {
        f"{group}.{name}"
        for group in GROUPS
        for option in catalogue.options.get(group, {}).values()
        for name, field in option["fields"].items()
        if field["type"].startswith("dict[")
    }
    pattern = re.compile(rf"(?:{'|'.join(map(re.escape, sorted(open_fields)))})\.[^=]+=") if open_fields else None
    return [f"++{text}" if pattern and pattern.match(text) else text for text in overrides]


def default_name(config: dict[str, Any], overrides: list[str]) -> str:
    """The task and what was overridden, short enough for a folder."""
    quiet = re.compile(r"(\+\+)?(task|name|resume|logger.*|callbacks.*|hydra.*|data\.folder|data\.(train|validation|test))$")
    words = [config["task"]["part"].partition("/")[2]]
    for text in overrides:
        key, _, value = text.partition("=")
        if not quiet.match(key):
            words.append(f"{re.split('[./]', key)[-1]}-{Path(value).name if '/' in value else value}")
    return re.sub(r"[^\w.,+-]+", "-", "_".join(words))[:100].strip("-_.")


def shorten(lines: list[str], most: int = 6) -> str:
    """At most six lines; the last tells how many more there are."""
    return "\n".join(lines if len(lines) <= most else [*lines[: most - 1], f"... and {len(lines) - most + 1} more"])


def _columns(config: dict[str, Any], catalogue: Catalogue) -> list[str]:
    """Columns that the format does not have: found here, before a file is opened."""
    columns, kind = config["data"].get("columns"), (config["task"].get("format") or {}).get("part")
    if not columns or not kind:
        return []
    declared = catalogue.option(kind)["declarations"]
    known = [*declared.get("columns", ()), *declared.get("optional", ())]
    return [
        f"data.columns.{name}: {kind} has no such column{registry.nearest(name, known)}; it has: {', '.join(known)}"
        for name in columns
        if name not in known
    ]


def _diagnose(overrides: list[str], catalogue: Catalogue, error: Exception) -> list[str]:
    """Why Hydra refused, in our words: the grammar, then the groups, then the keys; its own first line as the last resort."""
    parsed: list[Override] = []
    for text in overrides:
        try:
            parsed.append(OverridesParser.create().parse_override(text))
        except HydraException:
            return [f"{text}: not understood. Write key=value; quote values that hold spaces, commas or brackets: 'key=\"a b\"'."]
    wrong = [line for override in parsed for line in _wrong_group(override, catalogue)]
    if wrong:
        return wrong
    groups = [text for text, override in zip(overrides, parsed, strict=True) if _is_group(override, catalogue)]
    try:
        base = plain_config(_hydra(groups))
    except (HydraException, OmegaConfBaseException) as deeper:
        missing = [line for override in parsed for line in _absent_slot(override, overrides, catalogue)]
        return missing or [_first_line(deeper)]
    known = set(_keys(base))
    wrong = [
        _unknown_key(override.key_or_group, base, known, catalogue)
        for override in parsed
        if not _is_group(override, catalogue) and not override.is_force_add() and not override.key_or_group.startswith("hydra")
        if override.key_or_group not in known and not override.is_add()
    ]
    return wrong or [_first_line(error)]


def is_group_override(override: Override) -> bool:
    """Whether an override chooses an option rather than setting a value."""
    return _is_group(override, index.load())


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _is_group(override: Override, catalogue: Catalogue) -> bool:
    key = override.key_or_group
    return "/" in key or override.package is not None or key in GROUPS or (key in catalogue.options and key not in TOP)


def _wrong_group(override: Override, catalogue: Catalogue) -> Iterator[str]:
    """Options that do not exist, groups that do not exist."""
    key = override.key_or_group
    if not _is_group(override, catalogue) or key.startswith("hydra") or not isinstance(value := override.value(), str):
        return
    kind = catalogue.kind_at(key)
    if kind is None or ("/" not in key and key not in GROUPS):
        paths = [path for path, _ in catalogue.groups()]
        inside = [path for path in paths if path.endswith(f"/{key}")]
        near = f" (did you mean {inside[0]!r}?)" if inside else registry.nearest(key, paths)
        yield f"{key}: there is no such group{near}; groups: {', '.join(GROUPS)}"
    elif value not in (names := [*catalogue.names(kind), *_own_options(key)]):
        yield f"{key}: there is no {kind} {value!r}{registry.nearest(value, names)}; there are: {', '.join(names) or 'none'}"


def _own_options(group: str) -> list[str]:
    return [path.stem for folder in CatalogueSearchPath.folders for path in sorted((folder / group).glob("*.yaml"))]


def _absent_slot(override: Override, overrides: list[str], catalogue: Catalogue) -> Iterator[str]:
    """A slot that exists, but not in what was chosen above it."""
    key = override.key_or_group
    if "/" not in key:
        return
    others = [text for text in overrides if not text.lstrip("+~").startswith(f"{key}=") and not text.lstrip("+~").startswith(f"{key}/")]
    try:
        node: Any = plain_config(_hydra([text for text in others if _group_text(text)]))
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


def _group_text(text: str) -> bool:
    key = text.partition("=")[0].lstrip("+~")
    return "/" in key or key in GROUPS


def _keys(node: Any, path: str = "") -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            inner = f"{path}.{key}".lstrip(".")
            yield inner
            yield from _keys(value, inner)


def _unknown_key(key: str, base: dict[str, Any], known: set[str], catalogue: Catalogue) -> str:
    above, _, last = key.rpartition(".")
    node: Any = base
    for name in above.split(".") if above else ():
        if not isinstance(node, dict) or name not in node:
            return f"{key}: there is no such key{registry.nearest(key, known)}"
        if node[name] is None:
            slot = f"{above}".replace(".", "/")
            return f"{key}: {above} is not chosen; it follows its owner's. Choose it with {slot}=NAME, or set {registry_hint(key)}"
        node = node[name]
    names = [name for name in (node if isinstance(node, dict) else {}) if name != "part"]
    what = node["part"] if is_node(node) else "the top level" if not above else above
    close = registry.nearest(last, names) or registry.nearest(key, known)
    return f"{key}: {what} has no such option{close}; it has: {', '.join(names)}"


def registry_hint(key: str) -> str:
    """`model.encoder.attention.bias` -> `model.attention.bias`."""
    first, *_, slot, last = key.split(".")
    return f"{first}.{slot}.{last}"


__all__ = ["NAMED", "Composed", "attach", "compose", "finish", "open_dictionaries", "plain_config", "shorten"]
