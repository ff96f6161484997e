"""Composes command-line overrides to a checked, explicit config."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from framework import registry
from framework.config import catalogue as index
from framework.config.catalogue import FILES, GROUPS, NAMED, Catalogue
from framework.config.constraints import explicit_config, report
from framework.config.diagnose import diagnose, unreadable
from framework.config.hydra_compose import attach, choices, hydra_config, plain_config
from framework.config.hydra_source import key_of
from framework.config.layers import with_layers
from framework.config.presets import with_named_nodes
from framework.config.quoting import quoted, unquoted
from framework.config.recipes import check_recipe, is_group_word
from framework.config.validate import problems
from framework.errors import UserError


@dataclass(frozen=True)
class Composed:
    """A checked, explicit config. overrides: what the user typed, after those that a pretrained model implies; chosen: group -> option,
    with the recipe that the task took."""

    config: dict[str, Any]
    overrides: list[str]
    chosen: dict[str, str]


def compose(
    overrides: list[str],
    folders: Iterable[Path] = (),
    implied: Iterable[str] = (),
    resolve: bool = True,
    settings: Mapping[str, Any] | None = None,
) -> Composed:
    """The explicit config of command-line overrides. UserError: everything that is wrong with them.

    folders: the user's own config folders. implied: overrides that a pretrained model implies; typed ones take precedence.
    settings: chosen from the training rows; what the recipe `scratch` holds besides.
    resolve: whether interpolations (`${oc.env:HOME}`) are resolved; those of a run that somebody else may have made are text.
    """
    catalogue = attach(folders)
    overrides = quoted(overrides)
    if wrong := unreadable(overrides, catalogue):
        raise UserError(shorten(wrong))
    overrides = _without_null(without_hydra(overrides), catalogue)
    typed, overrides = [*implied, *overrides], open_dictionaries(overrides, catalogue)
    words = _replacing([*implied, *overrides], catalogue)
    try:
        attach(folders, words, settings)
        config = hydra_config(words)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(shorten(diagnose([*implied, *overrides], catalogue, error))) from error
    chosen = choices(config)
    check_recipe(chosen.pop("recipe", None), chosen["task"], catalogue)
    chosen = {"recipe" if key.startswith("recipe/") else key: name for key, name in chosen.items()}
    plain = with_layers(with_named_nodes(plain_config(config, resolve), catalogue), catalogue, overrides)
    return Composed(checked(plain, overrides), typed, chosen)


def checked(config: Mapping[str, Any], typed: list[str]) -> dict[str, Any]:
    """A plain config made explicit, with a name. UserError: everything that is wrong with it."""
    catalogue = index.load()
    wrong = list(problems(config, catalogue)) or _columns(config, catalogue) or report(dict(config), catalogue)
    if wrong:
        raise UserError(shorten(wrong))
    filled = explicit_config(config, catalogue)
    return filled | {"name": config["name"] or default_name(filled, typed)}


def _without_null(overrides: list[str], catalogue: Catalogue) -> list[str]:
    """Overrides without those like `experiment=null`, which chooses nothing. UserError: null is chosen where there must be an option."""
    kept = []
    for word in overrides:
        key, value = key_of(word), word.partition("=")[2]
        if value != "null" or not is_group_word(word) or not (kind := catalogue.kind_at(key)):
            kept.append(word)
        elif key not in FILES:
            raise UserError(f"{word}: null is no option; choose one, {key}={'|'.join(catalogue.names(kind))}")
    return kept


def without_hydra(overrides: list[str], sweep: bool = False) -> list[str]:
    """Overrides without those of Hydra's own keys. UserError: there is one that does nothing here. sweep: of `-m`, whose launcher and
    sweeper may be chosen."""
    for word in overrides:
        key = key_of(word)
        if key.partition(".")[0].partition("/")[0] != "hydra":
            continue
        if not re.match(r"hydra[./](launcher|sweeper)\b", key):
            raise UserError(f"{word}: Hydra's own keys do nothing here. runs=DIR is the folder of runs, name=NAME the beginning of a run's")
        if not sweep:
            raise UserError(f"{word}: is for sweeps: python train.py -m ...")
    if not sweep and (words := [word for word in overrides if re.match(r"sweep[.=]", word)]):
        raise UserError(f"{words[0]}: a search is a sweep: python train.py -m {words[0]} ...")
    return [word for word in overrides if not re.match(r"hydra[./]", key_of(word))]


def open_dictionaries(overrides: list[str], catalogue: Catalogue) -> list[str]:
    """Overrides as Hydra needs them: `++` for new keys of dictionaries (`data.columns.text=review`) and of named nodes
    (`callbacks.mine={is: finite}`); quotes for `debug=nan`, which it would
    read as a number, and for `model.freeze=layers.[0-3].*`, whose brackets it would read as a list."""
    open_fields = {
        f"{group}.{name}"
        for group in GROUPS
        for option in catalogue.options.get(group, {}).values()
        for name, field in option["fields"].items()
        if field["type"].startswith("dict[")
    }
    pattern = re.compile(rf"(?:{'|'.join(map(re.escape, [*NAMED, *sorted(open_fields)]))})\.[^=@]+=")
    overrides = ["debug='nan'" if text == "debug=nan" else _quoted(text, catalogue) for text in overrides]
    return [f"++{text}" if pattern.match(text) else text for text in overrides]


def _replacing(words: list[str], catalogue: Catalogue) -> list[str]:
    """Overrides as Hydra needs them to replace a pattern of layers, which is a list or a mapping, where it would merge the two."""
    result = []
    for word in words:
        path, _, name = word.partition("=")[0].rpartition(".")
        kind = catalogue.kind_at(path.replace(".", "/")) if path and word[0] not in "+~" else None
        by_layer = any("by_layer" in catalogue.traits(f"{kind}/{option}", name) for option in catalogue.options.get(kind or "", {}))
        result += [f"{path}.{name}=null", word] if by_layer else [word]
    return result


def _quoted(text: str, catalogue: Catalogue) -> str:
    """An override of an option that is a pattern: a value with brackets in quotes, which keep Hydra from parsing it."""
    match = re.fullmatch(r"(\+*([\w.]+)\.(\w+)=)(.*)", text)
    if not match or "'" in text or '"' in text:
        return text
    kind = catalogue.kind_at(match[2].replace(".", "/"))
    if not any("pattern" in catalogue.traits(f"{kind}/{name}", match[3]) for name in catalogue.options.get(kind or "", {})):
        return text
    pattern = r"(?:[^\[\],]|\[[^\[\]]*\])+"  # its brackets come in pairs
    value = match[4]
    if whole := re.fullmatch(rf"\[({pattern}(?:,{pattern})*)\]", value):
        return f"{match[1]}[{','.join(map(_quote, re.findall(pattern, whole[1])))}]"
    return f"{match[1]}{_quote(value)}" if re.fullmatch(pattern, value) else text


def _quote(pattern: str) -> str:
    return f"'{pattern}'" if re.search(r"[\[<>|]", pattern) else pattern


def default_name(config: dict[str, Any], overrides: list[str]) -> str:
    """The name of a run: the task and the overrides, short enough for a folder."""
    quiet = re.compile(r"(\+\+)?(task|name|resume|runs|logger.*|callbacks.*|hydra.*|data\.folder|data\.(train|validation|test))$")
    words = [config["task"]["part"].partition("/")[2]]
    for text in overrides:
        key, value = text.partition("=")[0], unquoted(text.partition("=")[2])
        if not quiet.match(key):
            words.append(f"{re.split('[./]', key)[-1]}-{Path(value).name if '/' in value else value}")
    name = re.sub(r"[^\w.,+-]+", "-", "_".join(words))[:100]
    return name.encode("utf-8", "replace")[:100].decode("utf-8", "ignore").strip("-_.")


def shorten(lines: list[str], most: int = 6) -> str:
    """At most six lines; the last one counts the rest."""
    return "\n".join(lines if len(lines) <= most else [*lines[: most - 1], f"... and {len(lines) - most + 1} more"])


def _columns(config: Mapping[str, Any], catalogue: Catalogue) -> list[str]:
    """A line for each column that the format does not have, before any file is opened."""
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
