"""The catalogue as a config source of Hydra. Nothing is stored beforehand: a node is made when it is chosen."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from framework.config import catalogue as index
from framework.config.catalogue import FILES, GROUPS, TOP, Catalogue
from framework.config.discovery import conf_folder
from framework.config.presets import chosen_over, divided, merged, parse
from framework.errors import UserError

SCRATCH = "scratch"  # the recipe of a task where no other is asked for


class CatalogueSource(ConfigSource):
    """Config source of the catalogue: at every slot its options as nodes, and presets as `presets.parse` reads them.

    Hydra loads files in the order of precedence (debug, experiment, recipe, presets) and takes the first choice for a slot. So it is known
    when a file is loaded which of its choices count, and the values of the others are left out.
    """

    catalogue: Catalogue
    recipe: str  # of the task
    settings: Mapping[str, Any]  # what the recipe `scratch` holds besides, chosen from the training rows
    typed: frozenset[str]  # keys of the command line

    def __init__(self, provider: str, path: str):
        super().__init__(provider, path)
        # Copied to the instance, which a launcher may send to another process.
        self.catalogue, self.recipe, self.typed = CatalogueSource.catalogue, CatalogueSource.recipe, CatalogueSource.typed
        self.settings = CatalogueSource.settings
        self.chosen: set[str] = set()

    @staticmethod
    def scheme() -> str:
        return "catalogue"

    def load_config(self, config_path: str) -> ConfigResult:
        group, _, name = config_path.removesuffix(".yaml").rpartition("/")
        kind = self.catalogue.kind_at(group) if group else None
        name = self.catalogue.canonical(kind, name) if kind else name
        header: dict[str, str | None] = {"package": "_global_" if group.partition("/")[0] in FILES else None}
        if not group:
            self.chosen = set(self.typed)  # a composition begins
            config = OmegaConf.load(conf_folder() / f"{name}.yaml")
        elif group == "recipe":
            config = OmegaConf.create({})  # the choice only: the file is that of the task, see `_node`
        elif kind and name in self.catalogue.options.get(kind, {}):
            config = OmegaConf.create(self._node(f"{kind}/{name}"))
        elif kind and name in self.catalogue.presets.get(kind, {}):
            file = self.catalogue.presets[kind][name]["file"]
            text = Path(file).read_text(encoding="utf-8")
            header |= {key: value for key, value in self._get_header_dict(text).items() if value is not None}
            content = OmegaConf.to_container(OmegaConf.create(text))
            assert isinstance(content, dict)
            named = {str(key): value for key, value in content.items()}
            settings = self.settings if kind.startswith("recipe/") and name.rpartition(":")[2] == SCRATCH else {}
            config = self._composable(named, file, kind, "" if header["package"] == "_global_" else group, settings)
        else:
            raise ConfigLoadError(f"Config not found: {config_path}")
        return ConfigResult(provider=self.provider, path=self.full_path(), config=config, header=header)

    def available(self) -> bool:
        return True

    def is_group(self, config_path: str) -> bool:
        return config_path == "" or self.catalogue.kind_at(config_path) is not None

    def is_config(self, config_path: str) -> bool:
        group, _, name = config_path.removesuffix(".yaml").rpartition("/")
        if not group:
            return (conf_folder() / f"{name}.yaml").is_file()
        kind = self.catalogue.kind_at(group)
        return group == "recipe" or (kind is not None and self.catalogue.has(kind, name))

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        kind = self.catalogue.kind_at(config_path) if config_path else None
        slots = list(self.catalogue.slots(kind)) if kind else [] if config_path else list(GROUPS)
        names = self.catalogue.names(kind) if kind else []
        return sorted({*(slots if results_filter != ObjectType.CONFIG else ()), *(names if results_filter != ObjectType.GROUP else ())})

    def _composable(self, content: Mapping[str, Any], file: str, kind: str, group: str, settings: Mapping[str, Any]) -> Any:
        """The content of a preset with its choices as a defaults list. group: of its slot; empty for a recipe or an experiment. settings:
        other content that is preferred to that of the file."""
        bound, free = divided(settings)
        content = chosen_over(content, bound)
        given = list(content.get("defaults") or [])
        for entry in given:  # a file may have a defaults list of Hydra as well
            key = next(iter(entry)) if isinstance(entry, Mapping) else ""
            if key.startswith("override "):
                self.chosen.add(self._absolute(group, key.removeprefix("override ").strip()))
        preset = parse(content, kind, self.catalogue, file, lambda path: self._choose(self._absolute(group, path)))
        if preset.base or preset.choices:
            base = [preset.base] if preset.base else []
            chosen = [{f"override {'' if group else '/'}{path}": name} for path, name in preset.choices.items()]
            given = [*base, *(entry for entry in given if entry != "_self_"), *chosen, "_self_"]
        return OmegaConf.create({**({"defaults": given} if given else {}), **merged(preset.values, free)})

    def _choose(self, slot: str) -> bool:
        """Whether the first choice for a slot is the present one."""
        free = slot not in self.chosen
        self.chosen.add(slot)
        return free

    @staticmethod
    def _absolute(group: str, path: str) -> str:
        return path[1:] if path.startswith("/") else f"{group}/{path}".lstrip("/")

    def _node(self, part: str) -> dict[str, Any]:
        """The node of a registered part, of a task with its recipe. `_self_` first: last, it would undo the choice for an empty slot."""
        option = self.catalogue.option(part)
        slots = [{slot: entry["default"] if not entry["follows"] else None} for slot, entry in option["slots"].items()]
        kind, _, name = part.partition("/")
        plugin, colon, task = name.rpartition(":")
        recipes = self.catalogue.presets.get(f"recipe/{task}", {}) if kind == "task" else {}
        wanted = (f"{plugin}{colon}{recipe}" for recipe in (self.recipe, SCRATCH))
        taken = [{f"/recipe/{task}@_global_": recipe} for recipe in wanted if recipe in recipes][:1]
        fields = {field: entry["default"] for field, entry in option["fields"].items()} | dict.fromkeys(option["slots"])
        return {"defaults": ["_self_", *slots, *taken], "part": part, **fields}


class CatalogueSearchPath(SearchPathPlugin):
    """Adds the catalogue, and the other files in the user's config folders, to Hydra's search path."""

    folders: tuple[Path, ...] = ()

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        search_path.append("plugformer", "catalogue://")
        for folder in self.folders:
            search_path.append("--config-dir", f"file://{folder}")


def attach(
    folders: Iterable[Path] = (), recipe: str = SCRATCH, words: Iterable[str] = (), settings: Mapping[str, Any] | None = None
) -> Catalogue:
    """Registers the catalogue, with the presets in the user's config folders, as a source of Hydra, and returns it. recipe: of the task.
    words: of the command line. settings: chosen from the training rows; they are values of the recipe `scratch`."""
    CatalogueSearchPath.folders = tuple(folders)
    CatalogueSource.catalogue = index.load().with_folders(CatalogueSearchPath.folders)
    CatalogueSource.recipe, CatalogueSource.settings = recipe, settings or {}
    CatalogueSource.typed = frozenset(key_of(word) for word in words)
    Plugins.instance().register(CatalogueSource)
    Plugins.instance().register(CatalogueSearchPath)
    return CatalogueSource.catalogue


def hydra_config(overrides: list[str]) -> DictConfig:
    """The config that Hydra composes from a command line, `hydra` node included. Raises the exceptions of Hydra and OmegaConf."""
    GlobalHydra.instance().clear()
    CatalogueSource.typed = frozenset(map(key_of, overrides))
    with initialize(version_base="1.3", config_path=None):
        return hydra_compose("config", overrides=overrides, return_hydra_config=True)


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


def key_of(word: str) -> str:
    """`+model/attention=linear` -> `model/attention`."""
    return word.partition("=")[0].lstrip("+~")
