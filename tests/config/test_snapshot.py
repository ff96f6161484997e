"""The configs of presets, tasks and experiments against snapshot.yaml: a change of one is seen, and is on purpose.

`python -m tests.config.test_snapshot` writes the file anew. Of every node it has the values that are not the part's defaults, and the
slots that neither follow their owner's nor hold the default.
"""

import itertools
from pathlib import Path
from typing import Any

import yaml

from framework.config import catalogue as index
from framework.config.compose import compose
from framework.config.constraints import default_node, explicit, is_node
from framework.config.hydra_compose import attach, hydra_config, plain_config

FILE = Path(__file__).with_name("snapshot.yaml")
GROUPS = ("model", "data", "tokenizer", "optimizer", "schedule", "trainer", "callbacks", "logger")


def collapsed(value: Any, scope: dict[str, Any] | None = None) -> Any:
    """An explicit node without what its part's signature says already."""
    if not is_node(value):
        return {key: collapsed(inner) for key, inner in value.items()} if isinstance(value, dict) else value
    catalogue, scope = index.load(), scope or {}
    option = catalogue.option(value["part"])
    changed = {name: value[name] for name, field in option["fields"].items() if value[name] != field["default"]}
    chosen = {slot: value[slot] for slot in option["slots"] if value[slot] is not None}
    for slot, entry in option["slots"].items():
        around = {**scope, **{name: part for name, part in chosen.items() if name != slot}}
        if entry["follows"] in scope:
            usual = scope[entry["follows"]]
        else:
            usual = entry["default"] and explicit(default_node(f"{entry['kind']}/{entry['default']}", catalogue), catalogue, around)
        if value[slot] != usual:
            changed[slot] = collapsed(value[slot], around)
    return {"part": value["part"], **changed}


def composed(words: list[str]) -> dict[str, Any]:
    plain, catalogue = plain_config(hydra_config(words)), index.load()
    return {key: explicit(value, catalogue) if is_node(value) else value for key, value in plain.items()}


def presets() -> dict[str, Any]:
    """`group=NAME` -> its node; one composition has a preset of every group."""
    attach()
    shot: dict[str, Any] = {}
    for names in itertools.zip_longest(*(sorted(index.load().presets.get(group, {})) for group in GROUPS)):
        chosen = {group: name for group, name in zip(GROUPS, names, strict=True) if name}
        config = composed(["task=classification", *(f"{group}={name}" for group, name in chosen.items())])
        shot |= {f"{group}={name}": collapsed(config[group]) for group, name in chosen.items()}
    return shot


def runs() -> dict[str, Any]:
    """`task=NAME`, `experiment=NAME`, `debug=NAME` -> the whole config, without what every run has."""
    attach()
    tasks = [f"task={name}" for name, option in sorted(index.load().options["task"].items()) if "plugformer" in option["distribution"]]
    words = [f"{group}={name}" for group in ("experiment", "debug") for name in sorted(index.load().presets[group])]
    shot = {word: collapsed(composed([word.replace("debug=nan", "debug='nan'")])) for word in [*tasks, *words]}
    usual = collapsed(composed(["task=classification"]))
    same = ("name", "seed", "resume", "runs", "callbacks", "logger")
    return {word: {key: value for key, value in config.items() if key not in same or value != usual[key]} for word, config in shot.items()}


def test_presets_are_what_they_were():
    saved = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    assert presets() == {word: value for word, value in saved.items() if word.partition("=")[0] in GROUPS}


def test_tasks_experiments_and_debug_runs_are_what_they_were():
    saved = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    assert runs() == {word: value for word, value in saved.items() if word.partition("=")[0] not in GROUPS}


def test_the_default_run_is_completion():
    assert {**compose([]).config, "name": ""} == {**compose(["task=completion"]).config, "name": ""}


if __name__ == "__main__":
    text = yaml.safe_dump({**presets(), **runs()}, default_flow_style=None, sort_keys=False, width=140)
    FILE.write_text(text, encoding="utf-8")
