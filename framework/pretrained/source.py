"""Pretrained models: a run or a published model, behind one interface of options, shapes, weights and tokenizer."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.huggingface.folder import PublishedModel, WeightReader, is_published
from framework.runs.folder import Run
from framework.runs.resume import changed
from framework.tracking.artifacts import artifact_folder, is_artifact
from framework.utils.hub import folder_of
from framework.weights.shapes import Shapes, shapes

if TYPE_CHECKING:
    from torch import Tensor

OPTION = "model.pretrained"


class PretrainedSource:
    """A trained model that a run starts from or learns from.

    name: as it was typed. model: config node of the model. spec: data spec it was trained with. tokenizer: config node of its tokenizer.
    shapes: of every weight, by the name that a task of ours gives it. task: the task part it was trained with; None for a published model.
    hf_task: the Hub's name for the purpose of a published model's head, if it has one. unknown: names of weights in its files that no
    weight of ours corresponds to.
    """

    name: str
    model: Mapping[str, Any]
    spec: DataSpec
    tokenizer: dict[str, Any]
    task: str | None = None
    hf_task: str | None = None
    unknown: Sequence[str] = ()

    @cached_property
    def shapes(self) -> Shapes:
        raise NotImplementedError

    def weights(self) -> WeightReader:
        """The weights, read from disk as they are asked for; none stay in memory with the source."""
        raise NotImplementedError


class RunSource(PretrainedSource):
    """A run: the weights of its best checkpoint (the average, if it kept one). UserError: the folder is no run or lacks a file.

    folder: where it lies; None = `name` is its path."""

    def __init__(self, name: str, option: str = OPTION, folder: Path | None = None):
        folder = folder or Path(name)
        if not folder.exists():
            kinds = "a run (runs/TASK/NAME_DATE_TIME), a folder with a published model, a name on the Hugging Face Hub, or"
            raise UserError(f"{option}={name}: there is no such folder; it takes {kinds} wandb:ENTITY/PROJECT/NAME:ALIAS")
        if folder.is_dir() and not (folder / "config.yaml").is_file():
            raise UserError(
                f"{option}={name}: that folder is neither a run, which has a config.yaml, nor a published model, which has a config.json"
            )
        self.run = Run.open(folder)
        checkpoint = self.run.checkpoint
        lacking = [path.name for path in (self.run.tokenizer, self.run.spec) if not path.exists()] + ["a checkpoint"] * (checkpoint is None)
        if checkpoint is None or lacking:
            raise UserError(f"{option}={name}: this run is not complete, it has no {', no '.join(lacking)}")
        self.name, self.checkpoint, self.config = name, checkpoint, changed(self.run, [], [], training=False)
        self.model, self.task, self.spec = self.config["model"], self.config["task"]["part"], DataSpec.load(self.run.spec)
        self.tokenizer = {"part": "tokenizer/pretrained", "file": str(self.run.tokenizer)}

    @cached_property
    def shapes(self) -> Shapes:
        return shapes(self._state())

    def _state(self) -> "dict[str, Tensor]":
        """Every weight, memory-mapped; the matrices of an adapter are merged into the weights they adapt."""
        from framework.runs.build import merged
        from framework.runs.checkpoint import load_weights

        return merged(load_weights(self.checkpoint), self.model)

    def weights(self) -> WeightReader:
        state = self._state()
        return lambda name: [state[name]]


class PublishedSource(PretrainedSource):
    """A published model in a folder. UserError: see `PublishedModel.open`."""

    def __init__(self, name: str, path: Path):
        self.published = PublishedModel.open(path)
        self.name, self.model, self.hf_task = name, self.published.node(), self.published.hf_task
        self.unknown = self.published.unexpected
        self.spec = DataSpec(self.published.vocab_size, self.model["max_length"], labels=self.published.labels)
        self.tokenizer = {"part": "tokenizer/pretrained", "file": str(self.published.folder), "vocab_size": self.published.vocab_size}
        if (start := self.published.config.get("decoder_start_token_id")) is not None:
            self.tokenizer["start"] = start

    @cached_property
    def shapes(self) -> Shapes:
        return self.published.shapes()

    def weights(self) -> WeightReader:
        return self.published.tensors


def open_pretrained(name: str, option: str = OPTION) -> PretrainedSource:
    """The run, the folder with a published model, the model on the Hugging Face Hub, or the artifact of W&B of that name. UserError: it is
    none of them."""
    path = _path_of(name)
    return PublishedSource(name, path) if is_published(path) else RunSource(name, option, path if is_artifact(name) else None)


def _path_of(name: str) -> Path:
    """A folder or file; a name that is neither, and cannot be the path of a run, is looked up on the Hub, or in W&B."""
    if is_artifact(name):
        return artifact_folder(name)
    path = Path(name).expanduser()
    return path if path.exists() or path.parts[0] in ("runs", "/", "..") or path.name == "last" else folder_of(name)


class Sources:
    """Pretrained sources by name; each is opened once, however many steps and jobs of a sweep ask for it."""

    def __init__(self) -> None:
        self._opened: dict[str, PretrainedSource] = {}

    def open(self, name: str, option: str = OPTION) -> PretrainedSource:
        """The source of that name. UserError: see `open_pretrained`."""
        if name not in self._opened:
            self._opened[name] = open_pretrained(name, option)
        return self._opened[name]

    def published(self, name: str) -> PublishedSource | None:
        """The published model of that name; None if the name is that of a run, which is not opened."""
        if name not in self._opened:
            if not is_published(path := _path_of(name)):
                return None
            self._opened[name] = PublishedSource(name, path)
        source = self._opened[name]
        return source if isinstance(source, PublishedSource) else None
