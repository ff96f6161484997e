"""From a command line to a checked, explicit config."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from framework import registry
from framework.config import catalogue as index
from framework.config.catalogue import GROUPS, Catalogue
from framework.config.constraints import explicit, is_node, report
from framework.config.diagnose import diagnose
from framework.config.hydra_source import attach, hydra_config, plain_config
from framework.config.validate import problems
from framework.errors import UserError


@dataclass(frozen=True)
class Composed:
    """A checked run: config is plain and explicit; overrides are what the user typed, and before it what that implies where a run begins
    from a published model; chosen is group -> option."""

    config: dict[str, Any]
    overrides: list[str]
    chosen: dict[str, str]


def compose(overrides: list[str], folders: Iterable[Path] = (), implied: Iterable[str] = ()) -> Composed:
    """The explicit config of a command line. UserError: everything that is wrong with it.

    folders: config folders of the user's own. implied: overrides that a pretrained model stands for; those that were typed win over them.
    """
    attach(folders)
    catalogue = index.load()
    overrides = open_dictionaries(overrides, catalogue)
    meant = [*implied, *overrides]
    try:
        config = hydra_config(meant)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(shorten(diagnose(meant, catalogue, error))) from error
    return finish(config, config.hydra.runtime.choices, meant, overrides)


def finish(config: DictConfig, choices: Mapping[Any, Any], overrides: list[str], typed: list[str] | None = None) -> Composed:
    """What Hydra composed, checked and made explicit; typed: those of the overrides that a person wrote, null = all.
    UserError: everything that is wrong with it."""
    chosen = {str(key): str(name) for key, name in choices.items() if name is not None and not str(key).startswith("hydra")}
    return Composed(checked(plain_config(config), overrides if typed is None else typed), overrides, chosen)


def checked(config: Mapping[str, Any], typed: list[str]) -> dict[str, Any]:
    """A plain config made explicit, with a name. UserError: everything that is wrong with it."""
    catalogue, plain = index.load(), dict(config)
    wrong = problems(plain, catalogue) or _columns(plain, catalogue) or report(plain, catalogue)
    if wrong:
        raise UserError(shorten(wrong))
    plain = {key: explicit(value, catalogue) if is_node(value) else value for key, value in plain.items()}
    plain["name"] = plain["name"] or default_name(plain, typed)
    return plain


def open_dictionaries(overrides: list[str], catalogue: Catalogue) -> list[str]:
    """`data.columns.text=review` may name a key that is not there yet: the user need not write `++`. And `debug=nan` is a name, which
    Hydra would read as a number; the brackets of `model.freeze=layers.[0-3].*` it would read as a list."""
    open_fields = {
        f"{group}.{name}"
        for group in GROUPS
        for option in catalogue.options.get(group, {}).values()
        for name, field in option["fields"].items()
        if field["type"].startswith("dict[")
    }
    pattern = re.compile(rf"(?:{'|'.join(map(re.escape, sorted(open_fields)))})\.[^=]+=") if open_fields else None
    overrides = ["debug='nan'" if text == "debug=nan" else _quoted(text, catalogue) for text in overrides]
    return [f"++{text}" if pattern and pattern.match(text) else text for text in overrides]


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
    """The task and what was overridden, short enough for a folder."""
    quiet = re.compile(r"(\+\+)?(task|name|resume|logger.*|callbacks.*|hydra.*|data\.folder|data\.(train|validation|test))$")
    words = [config["task"]["part"].partition("/")[2]]
    for text in overrides:
        key, value = text.partition("=")[0], text.partition("=")[2].strip("'")
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
