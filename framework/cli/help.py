"""Texts of `--help`, `list` and `describe`, all made from the catalogue."""

from collections.abc import Mapping
from textwrap import wrap
from typing import Any

from framework.config.catalogue import GROUPS, NAMED, Catalogue
from framework.config.discovery import DISTRIBUTION

_EXAMPLES = """\
  python train.py                                          the default: completion on Python's own source
  python train.py task=translation                         a task chooses a model, tokenizer and data
  python train.py task=classification model/attention=linear model.num_layers=4
  python train.py data=files data.train=reviews.csv data.columns.text=review data.columns.label=stars task=classification
  python train.py -m task=classification model/position=rotary,learned,alibi seed=0,1,2 logger=wandb
  python train.py resume=runs/last trainer.max_epochs=20"""


def help_text(catalogue: Catalogue) -> str:
    """At most 40 lines: usage, groups, slots, examples, flags."""
    lines = [
        "Trains a Transformer composed of parts:  python train.py [GROUP=OPTION] [GROUP/SLOT=OPTION] [KEY=VALUE] ...",
        "",
        "Groups (the parts of a run):",
        *(f"  {group if not line else '':<11}{text}" for group in GROUPS for line, text in enumerate(_lines(catalogue, group))),
        "",
        "Slots (the parts of a model), chosen with model/SLOT=OPTION, or for one stack with model/encoder/SLOT=OPTION:",
    ]
    slots = catalogue.slots("model")
    lines += [f"  {kind:<13}{_folded(_names(catalogue, kind), 106)}" for kind in dict.fromkeys(slots.values())]
    lines += [
        "",
        "Keys: name, seed, runs (their folder), resume (a run, or auto); callbacks.NAME={is: OPTION}, logger.NAME; --cfg job shows all.",
        "",
        "Examples:",
        *_EXAMPLES.splitlines(),
        "",
        "Flags: -m sweeps over comma-separated values; --config-dir DIR adds experiments of your own; --cfg job prints the config;",
        "  -sc install=bash completes keys on TAB. Other verbs: python -m framework list | describe | check | new | evaluate | predict.",
    ]
    return "\n".join(lines)


def is_outside(known: Mapping[str, Any]) -> bool:
    """Whether an option comes from another distribution than the framework's."""
    return known["distribution"].partition(" ")[0] != DISTRIBUTION


def _names(catalogue: Catalogue, kind: str) -> list[str]:
    """Options of a kind, those of other packages first; `bert_mini bert_tiny` in short as `bert_{mini,tiny}`."""
    guests = [name for name in catalogue.names(kind) if is_outside(catalogue.known(kind, name))]
    families: dict[str, list[str]] = {}
    for name in catalogue.names(kind):
        if name not in guests:
            families.setdefault(name.rpartition("_")[0] if name in catalogue.presets.get(kind, {}) else f"={name}", []).append(name)
    for stem, names in families.items():
        if stem and len(names) > 1:
            families[stem] = [f"{stem}_{{{','.join(name.rpartition('_')[2] for name in names)}}}"]
    return [*guests, *(name for names in families.values() for name in names)]


def _lines(catalogue: Catalogue, group: str) -> list[str]:
    """The options of a group, in one line; those of models, where most are known by name, in up to three."""
    lines = wrap(" ".join(_names(catalogue, group)), 108, break_long_words=False, break_on_hyphens=False)
    whole = min(len(lines) - 1, 2) if group == "model" else 0
    return [*lines[:whole], _folded(" ".join(lines[whole:]).split(), 108)]


def _folded(names: list[str], width: int) -> str:
    """Names in one line; a long list ends in a count."""
    shown: list[str] = []
    for position, name in enumerate(names):
        rest = len(names) - position
        if len(" ".join([*shown, name])) + (len(f" (+{rest - 1} more)") if rest > 1 else 0) > width:
            return f"{' '.join(shown)} (+{rest} more)"
        shown.append(name)
    return " ".join(shown) or "(none)"


def list_text(catalogue: Catalogue, kind: str | None = None) -> str:
    """Every option, or those of one kind, with its one-line description. UserError: no such kind."""
    recipes = [path for path in catalogue.presets if path.startswith("recipe/")] if kind in ("recipe", None) else []
    others = [kind] if kind else [*GROUPS, *sorted({*catalogue.options, *catalogue.presets} - {"", *recipes})]
    lines = []
    for each in dict.fromkeys([*(name for name in others if name != "recipe"), *sorted(recipes)]):
        if each not in catalogue.options and each not in catalogue.presets:
            catalogue.option(f"{each}/")
        lines.append(each)
        for name in catalogue.names(each):
            known = catalogue.known(each, name)
            origin = known["distribution"] if is_outside(known) else ""
            lines.append(f"  {name:<24}{known['doc'][:100]}{f'  [{origin}]' if origin else ''}")
    return "\n".join(lines)


def describe_text(catalogue: Catalogue, part: str) -> str:
    """One option: its description, every field with type, default and meaning, slots, context arguments, rules, file and line."""
    kind, _, name = part.rpartition("/") if part.startswith("recipe/") else part.partition("/")
    preset = catalogue.presets.get(kind, {}).get(catalogue.canonical(kind, name))
    if preset:
        text = open(preset["file"], encoding="utf-8").read().strip()
        return f"{part}: {preset['doc']}\n{preset['file']} ({preset['distribution']})\n\n{text}"
    option = catalogue.option(part)
    lines = [f"{part}: {option['doc']}", f"{option['file']}:{option['line']} ({option['class']}, {option['distribution']})"]
    if group := next((group for group, named in NAMED.items() if named == kind), None):
        lines.append(f"Choose it under a name of its own: '{group}.NAME={{is: {name}}}', or '{group}.NAME={{is: {name}, KEY: VALUE}}'")
    if option["fields"]:
        lines += ["", "Options:"]
        for field, known in option["fields"].items():
            value = f"  {field}: {known['type']} = {known['default']!r}".replace("'", "")
            lines.append(f"{value}  {known['meaning']}".rstrip())
    if option["slots"]:
        lines += ["", "Slots:"]
        for slot, entry in option["slots"].items():
            default = f"follows the owner's {entry['follows']}" if entry["follows"] else f"default {entry['default']}"
            lines.append(f"  {slot}: {entry['kind']}, {default}; {' '.join(catalogue.names(entry['kind']))}  {entry['meaning']}".rstrip())
    if option["context"]:
        lines += ["", f"Context arguments: {', '.join(option['context'])}"]
    declared = option["declarations"]
    if declared.get("rules"):
        lines += ["", "Rules:", *(f"  {rule}: {reason}" for rule, reason in declared["rules"].items())]
    if declared.get("provides"):
        lines += ["", f"Provides: {', '.join(declared['provides'])}"]
    return "\n".join(lines)
