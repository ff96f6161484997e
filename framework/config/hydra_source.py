"""The catalogue as a config source of Hydra. Nothing is stored beforehand: a node is made when it is chosen."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from omegaconf import OmegaConf

from framework.config.catalogue import FILES, GROUPS, NAMED, Catalogue
from framework.config.constraints import Node
from framework.config.discovery import conf_folder
from framework.config.presets import chosen_over, content_of, divided, merged, node_of, parse

# Nodes of Hydra's own that only its main function uses.
_UNUSED = [
    {f"override hydra/{group}": None}
    for group in ("launcher", "sweeper", "help", "hydra_help", "output", "env", "job_logging", "hydra_logging")
]
SCRATCH, FINETUNE = "scratch", "finetune"  # the recipes of a task where none is asked for


class CatalogueSource(ConfigSource):
    """Config source of the catalogue: at every slot its options as nodes, and presets as `presets.parse` reads them.

    Hydra loads files in the order of precedence (debug, experiment, recipe, the task, presets) and takes the first choice for a slot. So
    it is known when a file is loaded which of its choices count, and the values of the others are left out; and when a node is loaded,
    which of its slots keep their defaults: these are made with it, because Hydra needs milliseconds for each node of its own.
    """

    catalogue: Catalogue
    settings: Mapping[str, Any]  # what the recipe `scratch` holds besides, chosen from the training rows
    typed: frozenset[str]  # keys of the command line
    pretrained: bool | None  # whether the command line sets model.pretrained; None: it does not say
    closed: bool  # whether no choice comes from elsewhere: a sweeper, or a defaults list of Hydra's own
    inside: dict[str, str]  # group -> option or preset of what was made with its owner; in the class, as Hydra copies its sources

    def __init__(self, provider: str, path: str):
        super().__init__(provider, path)
        # Copied to the instance, which a launcher may send to another process.
        self.catalogue, self.settings, self.typed = CatalogueSource.catalogue, CatalogueSource.settings, CatalogueSource.typed
        self.pretrained, self.closed = CatalogueSource.pretrained, CatalogueSource.closed
        # While a config is composed: slots that are chosen for, whether all choices are known before a node is, the recipe that is
        # chosen, and whether the run begins from trained weights.
        self.chosen: set[str] = set()
        self.known = False
        self.recipe: str | None = None
        self.tuned: bool | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> "CatalogueSource":
        return copy.copy(self)  # Hydra copies its sources for each config; what changes is made anew then

    @staticmethod
    def scheme() -> str:
        return "catalogue"

    def load_config(self, config_path: str) -> ConfigResult:
        group, _, name = config_path.removesuffix(".yaml").rpartition("/")
        kind = self.catalogue.kind_at(group) if group else None
        name = self.catalogue.canonical(kind, name) if kind else name
        header: dict[str, str | None] = {"package": "_global_" if group.partition("/")[0] in FILES else None}
        if not group:
            self.chosen, self.recipe, self.tuned = {_group(key) for key in self.typed}, None, self.pretrained
            self.known = self.closed
            CatalogueSource.inside = {}
            content = content_of(conf_folder() / f"{name}.yaml")
            if self.known:
                content["defaults"] = [*(entry for entry in content["defaults"] if "override " not in next(iter(entry))), *_UNUSED]
        elif group == "recipe":
            self.recipe, content = name, {}  # the choice only: the file is that of the task, see `_node`
        elif kind and name in self.catalogue.options.get(kind, {}):
            content = self._node(kind, name, group)
        elif kind and name in self.catalogue.presets.get(kind, {}):
            file = self.catalogue.presets[kind][name]["file"]
            header |= {key: value for key, value in self._get_header_dict(Path(file).read_text("utf-8")).items() if value is not None}
            settings = self.settings if kind.startswith("recipe/") and name.rpartition(":")[2] == SCRATCH else {}
            if header["package"] == "_global_":
                content = self._composable(content_of(file), file, kind, "", settings)
            elif kind in self.catalogue.options and kind != "task" and self._is_left(group):
                content = self._whole(name, kind, group)
            else:
                content = self._composable(content_of(file), file, kind, group, settings)
        else:
            raise ConfigLoadError(f"Config not found: {config_path}")
        return ConfigResult(provider=self.provider, path=self.full_path(), config=OmegaConf.create(content), header=header)

    def available(self) -> bool:
        return True

    def is_group(self, config_path: str) -> bool:
        return config_path == "" or self.catalogue.kind_at(config_path) is not None

    def is_config(self, config_path: str) -> bool:
        group, _, name = config_path.removesuffix(".yaml").rpartition("/")
        if not group:
            return (conf_folder() / f"{name}.yaml").is_file()
        kind = self.catalogue.kind_at(group)
        if group == "recipe":
            return name != str(None)  # what Hydra makes of null
        return kind is not None and self.catalogue.has(kind, name)

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        kind = self.catalogue.kind_at(config_path) if config_path else None
        slots = list(self.catalogue.slots(kind)) if kind else [] if config_path else list(GROUPS)
        names = self.catalogue.names(kind) if kind else []
        return sorted({*(slots if results_filter != ObjectType.CONFIG else ()), *(names if results_filter != ObjectType.GROUP else ())})

    def _composable(self, content: Mapping[str, Any], file: str, kind: str, group: str, settings: Mapping[str, Any]) -> Node:
        """The content of a preset with its choices as a defaults list. group: of its slot; empty for a recipe or an experiment. settings:
        other content that is preferred to that of the file."""
        bound, free = divided(settings)
        content = chosen_over(content, bound)
        given = list(content.get("defaults") or [])
        self.known &= not given or kind not in FILES
        for entry in given:  # a file may have a defaults list of Hydra as well
            key = next(iter(entry)) if isinstance(entry, Mapping) else ""
            if key:
                self.chosen.add(_group(self._absolute(group, key.removeprefix("override ").strip())))
        preset = parse(content, kind, self.catalogue, file, lambda path: self._choose(self._absolute(group, path)))
        if self.tuned is None and kind in FILES:
            self.tuned = _pretrained(preset.values)
        if preset.base or preset.choices:
            base = [preset.base] if preset.base else []
            chosen = [{f"override {'' if group else '/'}{path}": name} for path, name in preset.choices.items()]
            given = [*base, *(entry for entry in given if entry != "_self_"), *chosen, "_self_"]
        content = {**({"defaults": given} if given else {}), **merged(preset.values, free)}
        return self._with_nodes(content, kind) if kind in NAMED and content.keys() == {"defaults"} else content

    def _choose(self, slot: str) -> bool:
        """Whether the first choice for a slot is the present one."""
        free = slot not in self.chosen
        self.chosen.add(slot)
        return free

    @staticmethod
    def _absolute(group: str, path: str) -> str:
        return path[1:] if path.startswith("/") else f"{group}/{path}".lstrip("/")

    def _node(self, kind: str, name: str, group: str) -> Node:
        """The node of a registered part, of a task with its recipe. `_self_` first: last, it would undo the choice for an empty slot."""
        option = self.catalogue.options[kind][name]
        plugin, colon, task = name.rpartition(":")
        recipes = self.catalogue.presets.get(f"recipe/{task}", {}) if kind == "task" else {}
        wanted = (f"{plugin}{colon}{recipe}" for recipe in (self.recipe or (FINETUNE if self.tuned else SCRATCH), SCRATCH))
        taken = [recipe for recipe in wanted if recipe in recipes][:1]
        known = not taken or self._leaves_the_task(task, taken[0])
        node: Node = {"part": f"{kind}/{name}", **{field: entry["default"] for field, entry in option["fields"].items()}}
        slots: list[dict[str, str | None]] = []
        for slot, entry in option["slots"].items():
            default = entry["default"] if not entry["follows"] else None
            left = known and self._is_left(f"{group}/{slot}") and f"{group}/{slot}" not in self.chosen
            node[slot] = self._whole(default, entry["kind"], f"{group}/{slot}") if left and default else None
            slots += [] if left else [{slot: default}]
        return {"defaults": ["_self_", *slots, *({f"/recipe/{task}@_global_": recipe} for recipe in taken)], **node}

    def _leaves_the_task(self, task: str, recipe: str | None) -> bool:
        """Whether a recipe, which is loaded after its task, says nothing of it, nor does one that it starts from."""
        if "task" in divided(self.settings)[0]:
            return False
        recipes = dict(self.catalogue.presets[f"recipe/{task}"])
        while recipe is not None:
            entry = recipes.pop(self.catalogue.canonical(f"recipe/{task}", recipe), None)
            content = content_of(entry["file"]) if entry else {}
            if not entry or {"task", "defaults"} & content.keys():
                return False
            recipe = str(content["is"]) if "is" in content else None
        return True

    def _is_left(self, group: str) -> bool:
        """Whether nobody chooses for a slot inside what stands in a group."""
        return self.known and not any(key.startswith(f"{group}/") for key in self.chosen)

    def _whole(self, name: str, kind: str, group: str) -> Node:
        """The node of an option or preset with all that is in it."""
        chosen: dict[str, str] = {}
        node = node_of(name, kind, self.catalogue, path=group, chosen=chosen)
        CatalogueSource.inside |= chosen
        return node

    def _with_nodes(self, content: Node, group: str) -> Node:
        """A defaults list of named nodes, with those for which nobody else chooses made at once."""
        kind, left, nodes = NAMED[group], [], {}
        for entry in content["defaults"]:
            key, option = next(iter(entry.items())) if isinstance(entry, Mapping) else ("", None)
            place = key.removeprefix(f"/{kind}@")
            if place != key and isinstance(option, str) and self.known and f"{kind}@{group}.{place}" not in self.typed:
                nodes[place] = self._whole(option, kind, f"{kind}@{group}.{place}")
            else:
                left.append(entry)
        return {**({"defaults": left} if left else {}), **nodes}


def key_of(word: str) -> str:
    """`+model/attention=linear` -> `model/attention`."""
    return word.partition("=")[0].lstrip("+~")


def _group(key: str) -> str:
    """The group of a key of a defaults list: `/model/norm@model.encoder.norm` -> `model/norm`."""
    return key.partition("@")[0].lstrip("/")


def _pretrained(values: Mapping[str, Any]) -> bool | None:
    """Whether the values of a file set model.pretrained; None: they do not say."""
    model = values.get("model")
    return bool(model["pretrained"]) if isinstance(model, Mapping) and "pretrained" in model else None
