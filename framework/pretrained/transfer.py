"""Beginning from a run or a published model: its tokenizer, and those of its weights that have a name and a shape in the new model.

`model.pretrained=RUN_OR_DIR` is read here and in `beginnings`, and only when a run starts: what is resumed, measured or used holds
weights of its own. Everything that can be wrong is said before data is encoded.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framework.config import catalogue as index
from framework.config.constraints import default_node
from framework.config.derived_defaults import normalized
from framework.config.diff import differences
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.huggingface.folder import fill
from framework.pretrained.source import OPTION, PretrainedSource, PublishedSource, source, tokenizer_words
from framework.runs.folder import Run
from framework.weights.layer_selection import renumbered
from framework.weights.shapes import Shapes
from framework.weights.shapes import shapes as shapes_of

if TYPE_CHECKING:
    from framework.tasks.base import Task

_NAMES_A_RUN = (OPTION, "task.teacher")
_LEARNED_PLACES = re.compile(r"model\.(encoder|decoder)\.position\.table\.weight")


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
    own = tokenizer_words(found)
    for word in typed:
        if (
            re.match(r"\+*tokenizer[=./@]", word)
            and word not in own
            and not word.lstrip("+").startswith("tokenizer.additional_special_tokens=")
        ):
            raise UserError(f"{word}: with {OPTION} the tokenizer is that of {name}, whose ids its weights know; leave it out")
    node = config["tokenizer"]
    node = node if node["part"] == "tokenizer/pretrained" else default_node("tokenizer/pretrained", index.load())
    return {**config, "tokenizer": {**node, **found.tokenizer}}


def check(config: Mapping[str, Any], typed: Sequence[str] = ()) -> list[str]:
    """What the model will take and what is new, in lines, before there is any data. UserError: what does not fit."""
    name = config["model"].get("pretrained")
    if not name:
        return []
    import torch

    from framework.registry import build

    found = source(name)
    if isinstance(found, PublishedSource):
        _check_preset(found, config["model"], typed)
    with torch.device("meta"):
        model = build(config["model"], spec=found.spec)
    own = {f"model.{key}": tuple(value.shape) for key, value in model.state_dict().items()}
    shapes = found.shapes()
    places = renumbered({key: key for key in shapes}, config["model"].get("init_layers"), own, name)
    return Match(own, {key: shapes[saved] for key, saved in places.items()}, found, config, found.spec).lines()


def _check_preset(found: PublishedSource, model: Mapping[str, Any], typed: Sequence[str]) -> None:
    """UserError: a model that was named by hand is not the one in the folder, in something that nobody typed. A difference that was
    typed is an experiment, one that was not is a mistake: it would compute other outputs and say nothing."""
    keys = [word.lstrip("+~").partition("=")[0].replace("/", ".") for word in typed]
    wrong = [
        word
        for word in differences(found.model, normalized(model), index.load())
        if not any(word.partition("=")[0].replace("/", ".").startswith(key) for key in keys if key not in ("model", "model.pretrained"))
    ]
    if wrong and "model" in keys:
        chosen = next(word for word in typed if word.lstrip("+").startswith("model="))
        raise UserError(f"{chosen} is not the model in {found.name}; leave it out, or add what differs: {' '.join(wrong)}")


def begin(task: "Task", config: Mapping[str, Any], spec: DataSpec) -> list[str]:
    """Puts into a new task what fits of what it begins from. What was taken and what is new, in lines; none where it begins from
    nothing. UserError: what does not fit."""
    from framework.runs.freezing import frozen_lines

    match = take(task, config, spec)
    return [] if match is None else [*match.lines(), *frozen_lines(task, match.new)]


def take(task: "Task", config: Mapping[str, Any], spec: DataSpec) -> "Match | None":
    """Puts into a task what fits of what its config begins from; None where that is nothing. UserError: what does not fit."""
    import torch

    name = config["model"].get("pretrained")
    if not name:
        return None
    found, own = source(name), task.state_dict()
    shapes = found.shapes()
    places = renumbered({key: key for key in shapes}, config["model"].get("init_layers"), own, name)  # name here -> name there
    match = Match(shapes_of(own), {key: shapes[saved] for key, saved in places.items()}, found, config, spec, task)
    with torch.no_grad():
        fill(own, {key: places[key] for key in match.taken}, found)
    return match


class Match:
    """Weights by name: those taken, those that are new, those left behind.

    A name of the model means the same in both, so its shape must be the same; a table that has grown by special tokens, which stand
    behind the others, is taken as far as it goes, and so is one of places if the new model reads fewer. What a task adds to the model
    (a head) is taken by the same task with the same labels alone.
    """

    def __init__(
        self, own: Shapes, saved: Shapes, found: PretrainedSource, config: Mapping[str, Any], spec: DataSpec, task: "Task | None" = None
    ):
        from framework.tasks.capabilities import Exportable

        self.own, self.found, self.config = own, found, config
        same_head = config["task"]["part"] == found.task and spec.labels == found.spec.labels
        if found.task is None and isinstance(task, Exportable):
            labels = tuple(task.hf_config().get("id2label", {}).values())
            same_head = task.hf_task == found.hf_task and labels in (found.spec.labels, ())
        grown = (found.spec.vocab_size, spec.vocab_size)

        def fits(name: str) -> bool:
            if own[name] == saved[name]:
                return True
            fewer = _LEARNED_PLACES.fullmatch(name) is not None and own[name][0] < saved[name][0]
            return own[name][1:] == saved[name][1:] and (fewer or (*saved[name][:1], *own[name][:1]) == grown)

        common = [name for name in own if name in saved and (name.startswith("model.") or (same_head and fits(name)))]
        if not any(re.match(r"model\.(encoder|decoder)\.", name) for name in common):
            kinds = [node["part"].partition("/")[2] for node in (found.model, config["model"])]
            raise UserError(f"{OPTION}={found.name}: no layer of that model, {kinds[0]}, has a name in this one, {kinds[1]}")
        wrong = [f"{name}: {saved[name]} there, {own[name]} here" for name in common if not fits(name)]
        if wrong:
            raise UserError("\n".join([f"{OPTION}={found.name} does not fit this model:", *_few(wrong), *self._ways()]))
        self.taken = common
        self.new = [name for name in own if name not in common]
        self.left = [name for name in saved if name not in common] + list(found.unknown)

    def _ways(self) -> list[str]:
        ways = " ".join(differences(normalized(self.found.model), normalized(self.config["model"]), index.load()))
        return [f"As it was there: {ways}"] if ways else []

    def lines(self) -> list[str]:
        other = differences(normalized(self.found.model), normalized(self.config["model"]), index.load())
        counted = sum(math.prod(self.own[name]) for name in self.taken)
        lines = [f"begins from {self.found.name}: {len(self.taken)} of {len(self.own)} tensors, {counted:,} numbers, and its tokenizer"]
        lines += [f"  new here         {names}" for names in (_grouped(self.new),) if names]
        lines += [f"  left behind      {names}" for names in (_grouped(self.left),) if names]
        return lines + ([f"  was otherwise    {' '.join(other)}"] if other else [])


def _grouped(names: Sequence[str]) -> str:
    """Names of weights by the part they are in: `model.encoder (24), head (2)`."""
    parts = (".".join(name.split(".")[: 2 if name.startswith("model.") else 1]) for name in names)
    return ", ".join(f"{part} ({count})" for part, count in Counter(parts).items())


def _few(lines: Sequence[str], most: int = 3) -> list[str]:
    return list(lines[:most]) + ([f"... and {len(lines) - most} more"] if len(lines) > most else [])
