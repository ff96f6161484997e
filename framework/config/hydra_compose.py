"""Composing by Hydra, with the catalogue as its source of configs."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from framework.config import catalogue as index
from framework.config.catalogue import GROUPS, TOP, Catalogue
from framework.config.hydra_source import CatalogueSource, key_of
from framework.errors import UserError


class CatalogueSearchPath(SearchPathPlugin):
    """Adds the catalogue, and the other files in the user's config folders, to Hydra's search path."""

    folders: tuple[Path, ...] = ()

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        search_path.append("plugformer", "catalogue://")
        for folder in self.folders:
            search_path.append("--config-dir", f"file://{folder}")


def attach(folders: Iterable[Path] = (), words: Iterable[str] = (), settings: Mapping[str, Any] | None = None) -> Catalogue:
    """Registers the catalogue, with the presets in the user's config folders, as a source of Hydra, and returns it. words: of the command
    line. settings: chosen from the training rows; they are values of the recipe `scratch`."""
    words = list(words)
    CatalogueSearchPath.folders = tuple(folders)
    CatalogueSource.catalogue = index.load().with_folders(CatalogueSearchPath.folders)
    CatalogueSource.settings, CatalogueSource.closed = settings or {}, False
    CatalogueSource.typed = frozenset(map(key_of, words))
    given = [word.partition("=")[2].strip("'\"") for word in words if key_of(word) == "model.pretrained" and not word.startswith("~")]
    CatalogueSource.pretrained = given[-1] not in ("", "null") if given else None
    Plugins.instance().register(CatalogueSource)
    Plugins.instance().register(CatalogueSearchPath)
    return CatalogueSource.catalogue


def hydra_config(overrides: list[str]) -> DictConfig:
    """The config that Hydra composes from a command line, `hydra` node included. Raises the exceptions of Hydra and OmegaConf."""
    GlobalHydra.instance().clear()
    CatalogueSource.typed = frozenset(map(key_of, overrides))
    catalogue = CatalogueSource.catalogue
    CatalogueSource.closed = not any(entry["listed"] for kind in catalogue.options for entry in catalogue.presets.get(kind, {}).values())
    try:
        with initialize(version_base="1.3", config_path=None):
            return hydra_compose("config", overrides=overrides, return_hydra_config=True)
    finally:
        CatalogueSource.closed = False


def choices(config: DictConfig) -> dict[str, str]:
    """Group -> option or preset of the config that Hydra composed last, without what is empty."""
    by_hydra = {str(key): str(name) for key, name in config.hydra.runtime.choices.items() if name is not None}
    return {key: name for key, name in (CatalogueSource.inside | by_hydra).items() if not key.startswith("hydra")}


def overrides_parser() -> OverridesParser:
    """A parser that knows the names of options, so that `model=glob(bert_*)` is a sweep over those."""
    GlobalHydra.instance().clear()
    with initialize(version_base="1.3", config_path=None):
        return OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())


def plain_config(config: DictConfig, resolve: bool = True) -> dict[str, Any]:
    """Without Hydra's own part and interpolations. resolve: false leaves interpolations as the text that they are."""
    try:
        if not resolve:
            with open_dict(config):
                config.pop("hydra", None)
        whole = OmegaConf.to_container(config, resolve=resolve)
    except OmegaConfBaseException as error:
        raise UserError(str(error).partition("\n")[0]) from error
    assert isinstance(whole, dict)
    return {str(key): value for key, value in whole.items() if key != "hydra"}


def is_group_override(override: Override, catalogue: Catalogue) -> bool:
    """Whether an override chooses an option rather than setting a value."""
    key = override.key_or_group
    return "/" in key or override.package is not None or key in GROUPS or (key in catalogue.options and key not in TOP)
