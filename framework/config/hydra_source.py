"""The catalogue as Hydra sees it: a config source of ours. Nothing is stored beforehand, a node is made when it is chosen."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from framework.config import catalogue as index
from framework.config.catalogue import GROUPS, TOP, Catalogue
from framework.config.discovery import conf_folder
from framework.errors import UserError


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


def hydra_config(overrides: list[str]) -> DictConfig:
    """What Hydra makes of a command line, its own part included. Raises what Hydra and OmegaConf raise."""
    GlobalHydra.instance().clear()
    with initialize(version_base="1.3", config_path=None):
        return hydra_compose("config", overrides=overrides, return_hydra_config=True)


def plain_config(config: DictConfig) -> dict[str, Any]:
    """Without Hydra's own part and interpolations."""
    try:
        whole = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(str(error).partition("\n")[0]) from error
    assert isinstance(whole, dict)
    return {str(key): value for key, value in whole.items() if key != "hydra"}


def is_group_override(override: Override, catalogue: Catalogue) -> bool:
    """Whether an override chooses an option rather than setting a value."""
    key = override.key_or_group
    return "/" in key or override.package is not None or key in GROUPS or (key in catalogue.options and key not in TOP)
