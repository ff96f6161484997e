"""What a new run can begin from: a run, or a published model. Both are asked the same four things: options, shapes, weights, tokenizer."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framework.config import catalogue as index
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.huggingface.folder import Published, is_published
from framework.huggingface.nodes import without, words
from framework.runs.folder import Run
from framework.utils.hub import folder_of
from framework.weights.shapes import Shapes, shapes

if TYPE_CHECKING:
    from torch import Tensor

OPTION = "model.pretrained"
GROUPS = ("model", "tokenizer")  # what a published folder decides, where nobody else does


class PretrainedSource:
    """name: as somebody typed it. model: the node of its model. spec: what its data said. tokenizer: the node of its tokenizer.
    task: the part that it was trained by, null for a published model; hf_task: what its head is for, where that is known.
    config: of a run, all of it.
    unknown: names of weights that nothing of ours has a place for."""

    name: str
    model: Mapping[str, Any]
    config: dict[str, Any]
    spec: DataSpec
    tokenizer: dict[str, Any]
    task: str | None = None
    hf_task: str | None = None
    unknown: Sequence[str] = ()

    def shapes(self) -> Shapes:
        """Name -> shape of every weight, as a task of ours names them."""
        raise NotImplementedError

    def tensors(self, name: str) -> "Iterator[Tensor]":
        """A weight, whole or a few rows at a time."""
        raise NotImplementedError


class RunSource(PretrainedSource):
    """A run: its weights are the average where one was kept. UserError: it is none, or not complete."""

    def __init__(self, name: str, option: str = OPTION):
        if not Path(name).exists():
            kinds = "a run (runs/TASK/NAME_DATE_TIME), a folder with a published model, or a name on the Hugging Face Hub"
            raise UserError(f"{option}={name}: there is no such folder; it takes {kinds}")
        if Path(name).is_dir() and not (Path(name) / "config.yaml").is_file():
            raise UserError(
                f"{option}={name}: that folder is neither a run, which has a config.yaml, nor a published model, which has a config.json"
            )
        run = Run.open(Path(name))
        checkpoint = next((path for path in (run.best, run.last) if path.exists()), None)
        lacking = [path.name for path in (run.tokenizer, run.spec) if not path.exists()] + ([] if checkpoint else ["a checkpoint"])
        if checkpoint is None or lacking:
            raise UserError(f"{option}={name}: this run cannot be of use yet, it has no {', no '.join(lacking)}")
        self.config = config = run.config()
        self.name, self.model, self.task, self.spec = name, config["model"], config["task"]["part"], DataSpec.load(run.spec)
        self.tokenizer = {"part": "tokenizer/pretrained", "file": str(run.tokenizer)}
        self._checkpoint = checkpoint
        self._state: dict[str, Tensor] | None = None

    def _weights(self) -> "dict[str, Tensor]":
        """Left on disk until they are used; an adapter is computed into the weights that it stood beside."""
        if self._state is None:
            from framework.runs.build import merged
            from framework.runs.checkpoint import weights

            self._state = merged(weights(self._checkpoint), self.model)
        return self._state

    def shapes(self) -> Shapes:
        return shapes(self._weights())

    def tensors(self, name: str) -> "Iterator[Tensor]":
        yield self._weights()[name]


class PublishedSource(PretrainedSource):
    """A published model, in a folder. UserError: see `Published.open`."""

    def __init__(self, name: str, path: Path):
        self.published = Published.open(path)
        self.name, self.model, self.hf_task = name, self.published.node(), self.published.hf_task
        self.unknown = self.published.left
        self.spec = DataSpec(self.published.vocab_size, self.model["max_length"], labels=self.published.labels)
        self.tokenizer = {"part": "tokenizer/pretrained", "file": str(self.published.folder), "vocab_size": self.published.vocab_size}
        if (start := self.published.config.get("decoder_start_token_id")) is not None:
            self.tokenizer["start"] = start

    def shapes(self) -> Shapes:
        return self.published.shapes()

    def tensors(self, name: str) -> "Iterator[Tensor]":
        return self.published.tensors(name)


def source(name: str, option: str = OPTION) -> PretrainedSource:
    """The run, the folder with a published model, or the model of the Hugging Face Hub of that name. UserError: it is none of them."""
    path = _place(name)
    return PublishedSource(name, path) if is_published(path) else RunSource(name, option)


def _place(name: str) -> Path:
    """A folder or file; what is none, and is no path to a run either, is sought on the Hub."""
    path = Path(name).expanduser()
    return path if path.exists() or path.parts[0] in ("runs", "/", "..") or path.name == "last" else folder_of(name)


def implied(typed: Sequence[str]) -> list[str]:
    """What a command line means that begins from a published model: its options and its tokenizer, where nothing else was typed.

    A model that was named is taken as it was named, and must then be what the folder holds: see `pretrained.check`.
    """
    name = _named(typed)
    named, tokenized = (any(re.match(rf"\+*{group}[=@]", word) for word in typed) for group in GROUPS)
    if name is None or (named and tokenized):  # said already: the folder may be gone since
        return []
    path = _place(name)
    if not is_published(path):
        return []
    found = PublishedSource(name, path)
    own = [] if named else without(words(found.published.parts, index.load()), typed)
    if tokenized:
        return own
    return [*own, *tokenizer_words(found)]


def tokenizer_words(found: PretrainedSource) -> list[str]:
    """The tokenizer of what a run begins from, as overrides."""
    values = {key: value for key, value in found.tokenizer.items() if key != "part"}
    return ["tokenizer=pretrained", *(f"tokenizer.{key}={_quoted(str(value))}" for key, value in values.items())]


def _quoted(value: str) -> str:
    """A value as Hydra takes it, whatever a folder is called."""
    if re.fullmatch(r"[\w./:@+-]+", value):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _named(typed: Sequence[str]) -> str | None:
    """The value of model.pretrained, if it is one and not several."""
    values = [word.partition("=")[2] for word in typed if word.lstrip("+").startswith(f"{OPTION}=")]
    value = values[-1] if values else ""
    if value[:1] in ("'", '"') and value[-1:] == value[:1]:
        return re.sub(r"\\(.)", r"\1", value[1:-1])
    return value if value not in ("", "null") and "," not in value else None
