"""Beginning from a run that exists: its tokenizer, and those of its weights that have a name and a shape in the new model.

`model.pretrained=RUN` is read here and nowhere else, and only when a run starts: what is resumed, measured or used holds weights of
its own. Everything that can be wrong is said before data is encoded.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framework import catalogue as index
from framework.data.facts import Facts
from framework.errors import UserError
from framework.layers_taken import renumbered
from framework.runs import Run

if TYPE_CHECKING:
    from torch import Tensor, nn

OPTION = "model.pretrained"
_NAMES_A_RUN = (OPTION, "task.teacher")
_OF_TRAINING = ("pretrained", "layers", "dropout", "initial_std", "checkpointing")  # options of a model that change nothing it has learned
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Pretrained:
    """What a run can begin from. name: as somebody typed it. checkpoint: the weights, the average where one was kept."""

    name: str
    model: dict[str, Any]
    task: str
    facts: Facts
    tokenizer: Path
    checkpoint: Path

    def weights(self) -> "dict[str, Tensor]":
        """Name -> tensor, left on disk until it is used."""
        from framework.checkpoint import weights

        return weights(self.checkpoint)


def source(name: str) -> Pretrained:
    """The run of that folder. UserError: it is none, or not complete."""
    run = Run.open(Path(name))
    checkpoint = next((path for path in (run.best, run.last) if path.exists()), None)
    lacking = [path.name for path in (run.tokenizer, run.facts) if not path.exists()] + ([] if checkpoint else ["a checkpoint"])
    if checkpoint is None or lacking:
        raise UserError(f"{OPTION}={name}: nothing can begin from this run, it has no {', no '.join(lacking)}")
    config = run.config()
    return Pretrained(name, config["model"], config["task"]["part"], Facts.load(run.facts), run.tokenizer, checkpoint)


def pinned(words: Sequence[str]) -> list[str]:
    """Overrides with `runs/last` as the run that it is now: the first job of a sweep will be another `last`."""
    return [_pinned(word) if word.lstrip("+").partition("=")[0] in _NAMES_A_RUN else word for word in words]


def _pinned(word: str) -> str:
    option, _, names = word.partition("=")
    return f"{option}={','.join(_folder(name) if Path(name).name == 'last' else name for name in names.split(','))}"


def _folder(name: str) -> str:
    folder = Run.open(Path(name)).folder
    return str(folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder)


def with_tokenizer(config: Mapping[str, Any], typed: Sequence[str]) -> dict[str, Any]:
    """The config with the tokenizer of what it begins from, whatever a task or an experiment brings along. UserError: there is no
    such run, or somebody typed another tokenizer."""
    name = config["model"].get("pretrained")
    if not name:
        return dict(config)
    found = source(name)
    for word in typed:
        if re.match(r"\+*tokenizer[=./@]", word):
            raise UserError(f"{word}: with {OPTION} the tokenizer is that of {name}, whose ids its weights know; leave it out")
    return {**config, "tokenizer": {"part": "tokenizer/pretrained", "file": str(found.tokenizer)}}


def check(config: Mapping[str, Any]) -> list[str]:
    """What the model will take and what is new, in lines, before there is any data. UserError: what does not fit."""
    name = config["model"].get("pretrained")
    if not name:
        return []
    import torch

    from framework.registry import build

    index.load()
    found = source(name)
    with torch.device("meta"):
        model = build(config["model"], facts=found.facts)
    own = {f"model.{key}": tuple(value.shape) for key, value in model.state_dict().items()}
    saved = renumbered(found.weights(), config["model"].get("layers"), own, name)
    return Match(own, _shapes(saved), found, config, found.facts).lines()


def begin(task: "nn.Module", config: Mapping[str, Any], facts: Facts) -> list[str]:
    """Puts into a new task what fits of the run that it begins from. What was taken and what is new, in lines; none where it begins
    from nothing. UserError: what does not fit."""
    name = config["model"].get("pretrained")
    if not name:
        return []
    found = source(name)
    own = task.state_dict()
    state = renumbered(found.weights(), config["model"].get("layers"), own, name)
    match = Match(_shapes(own), _shapes(state), found, config, facts)
    for key in match.taken:
        own[key][: len(state[key])].copy_(state[key]) if state[key].ndim else own[key].copy_(state[key])
    return match.lines()


def _shapes(state: "Mapping[str, Tensor]") -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in state.items()}


class Match:
    """Weights by name: those taken, those that are new, those left behind.

    A name of the model means the same in both, so its shape must be the same; a table that has grown by special tokens, which stand
    behind the others, is taken as far as it goes. What a task adds to the model (a head) is taken by the same task with the same
    labels alone.
    """

    def __init__(self, own: Shapes, saved: Shapes, found: Pretrained, config: Mapping[str, Any], facts: Facts):
        self.own, self.found, self.config = own, found, config
        same_task = config["task"]["part"] == found.task and facts.labels == found.facts.labels
        grown = (found.facts.vocabulary, facts.vocabulary)

        def fits(name: str) -> bool:
            return own[name] == saved[name] or (own[name][1:] == saved[name][1:] and (*saved[name][:1], *own[name][:1]) == grown)

        common = [name for name in own if name in saved and (name.startswith("model.") or (same_task and fits(name)))]
        if not any(re.match(r"model\.(encoder|decoder)\.", name) for name in common):
            kinds = [node["part"].partition("/")[2] for node in (found.model, config["model"])]
            raise UserError(f"{OPTION}={found.name}: no layer of that model, {kinds[0]}, has a name in this one, {kinds[1]}")
        wrong = [f"{name}: {saved[name]} there, {own[name]} here" for name in common if not fits(name)]
        if wrong:
            raise UserError("\n".join([f"{OPTION}={found.name} does not fit this model:", *_few(wrong), *self._ways()]))
        self.taken = common
        self.new = [name for name in own if name not in common]
        self.left = [name for name in saved if name not in common]

    def _ways(self) -> list[str]:
        ways = " ".join(differences(self.found.model, self.config["model"]))
        return [f"As it was there: {ways}"] if ways else []

    def lines(self) -> list[str]:
        other = differences(self.found.model, self.config["model"])
        counted = sum(math.prod(self.own[name]) for name in self.taken)
        lines = [f"begins from {self.found.name}: {len(self.taken)} of {len(self.own)} tensors, {counted:,} numbers, and its tokenizer"]
        lines += [f"  new here         {names}" for names in (_grouped(self.new),) if names]
        lines += [f"  left behind      {names}" for names in (_grouped(self.left),) if names]
        return lines + ([f"  was otherwise    {' '.join(other)}"] if other else [])


def differences(saved: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """Overrides that would make a model the saved one, but for what concerns training alone."""
    found = dict(_differences(saved, config, ()))
    # what a slot only follows its owner in need not be said again
    own = [path for path, value in found.items() if not any((path[at:], value) in found.items() for at in range(1, len(path)))]
    return [_override(path, found[path]) for path in own]


def _differences(saved: Mapping[str, Any], config: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    other = saved.get("part") != config.get("part")
    for key, value in saved.items():
        if key in _OF_TRAINING or (other and path and key != "part"):
            continue
        if isinstance(value, Mapping) and isinstance(config.get(key), Mapping):
            yield from _differences(value, config[key], (*path, key))
        elif not isinstance(value, Mapping) and (key not in config or config[key] != value):
            yield (*path, key), value


def _override(path: tuple[str, ...], value: Any) -> str:
    if path[-1] == "part":
        return f"{'/'.join(('model', *path[:-1]))}={value.partition('/')[2]}"
    return f"{'.'.join(('model', *path))}={value if isinstance(value, str) else json.dumps(value)}"


def _grouped(names: Sequence[str]) -> str:
    """Names of weights by the part they are in: `model.encoder (24), head (2)`."""
    parts = (".".join(name.split(".")[: 2 if name.startswith("model.") else 1]) for name in names)
    return ", ".join(f"{part} ({count})" for part, count in Counter(parts).items())


def _few(lines: Sequence[str], most: int = 3) -> list[str]:
    return list(lines[:most]) + ([f"... and {len(lines) - most} more"] if len(lines) > most else [])
