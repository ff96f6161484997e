"""Rows from the Hugging Face Hub, or from a local folder laid out like one of its data sets."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from framework.data.formats import Format
from framework.data.sources.base import SPLITS, LocatedRow, Source
from framework.errors import UserError
from framework.registry import Part, choice, nearest, register
from framework.utils.hub import first_line, reachable


@register("data")
class HubData(Source):
    """A data set of the Hugging Face Hub by name, or a local folder in that layout, through `datasets`.

    path: name on the Hub (stanfordnlp/sst2) or a folder.
    name: the configuration, where a data set has several.
    revision: a branch, tag or commit of the data set.
    train, validation, test: what the data set calls these splits; one it has not is left out (train is a must).
    columns: where each column of the task stands, `data.columns.text=sentence`: a name (a.b for nested ones), a list (those that a row
        has become one list) or a text to fill in, "{title} {body}"; unnamed ones have the task's names.
    validation_share: of the training rows, split off where there is no validation split; 0 = none.
    test_share: of the training rows, split off where there is no test split, the same for every seed; 0 = none.
    split: how they are split off: random rows (validation by seed), or the last ones.
    limit: rows of each split at most; null = all.
    batches: how rows become batches.
    workers: processes that make batches ahead; 0 = none.
    """

    option_traits: ClassVar = {"may_change": ("train", "validation", "test")}

    def __init__(
        self,
        format: Format,
        seed: int,
        path: str | None = None,
        name: str | None = None,
        revision: str | None = None,
        train: str = "train",
        validation: str | None = "validation",
        test: str | None = "test",
        columns: dict[str, str | int | list[str | int]] = {},  # noqa: B006 - never written to
        validation_share: float = 0.05,
        test_share: float = 0.0,
        split: Literal["random", "last"] = "random",
        limit: int | None = None,
        batches: Part = choice("batches", "buckets"),
        workers: int = 0,
    ):
        super().__init__(format, seed, columns, validation_share, test_share, split, limit, batches, workers)
        self.path, self.name, self.revision = path, name, revision
        self.wanted = {key: value for key, value in zip(SPLITS, (train, validation, test), strict=True) if value}
        self._loaded: Any = None

    def native_splits(self) -> tuple[str, ...]:
        return tuple(split for split, name in self.wanted.items() if name in self._data())

    def check(self) -> None:
        found = list(self._data())
        if self.wanted["train"] not in found:
            name = self.wanted["train"]
            raise UserError(f"{self.path} has no split {name!r}{nearest(name, found)}; it has: {', '.join(found)} (data.train=SPLIT)")
        for split in self.native_splits():
            data = self._data()[self.wanted[split]]
            if not len(data):
                raise UserError(f"{self.path}: the split {self.wanted[split]!r} holds no rows")
            next(self.read(split))

    def read(self, split: str) -> Iterator[LocatedRow]:
        name = self.wanted[split]
        data = self._data()[name]
        for number, values in enumerate(data, 1):
            where = f"{self.path} {name}, row {number}"
            yield self.columns.pick(values, where, lambda column, value: label_name(data.features, column, value)), where

    def origin(self, split: str) -> Any:
        return {"path": self.path, "split": self.wanted[split], "fingerprint": self._data()[self.wanted[split]]._fingerprint}

    def _data(self) -> Any:
        """split name -> rows, memory-mapped by `datasets`; loaded once."""
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded

    def _load(self) -> Any:
        if not self.path:
            raise UserError("data=hub needs a data set: data.path=NAME (as on huggingface.co/datasets) or a folder")
        local = Path(self.path).expanduser().is_dir()
        try:
            import datasets  # 1 s that only this source pays
            import huggingface_hub.constants
        except ImportError:
            raise UserError("data=hub needs the package `datasets`: pip install datasets") from None
        if not local and not reachable():  # what was downloaded before still loads, and nothing waits for the rest
            datasets.config.HF_HUB_OFFLINE = huggingface_hub.constants.HF_HUB_OFFLINE = True
        try:
            return datasets.load_dataset(str(Path(self.path).expanduser()) if local else self.path, self.name, revision=self.revision)
        except ConnectionError as error:
            raise UserError(
                f"the Hugging Face Hub cannot be reached and {self.path!r} was not downloaded before: {first_line(error)}\n"
                "take a local copy (data.path=FOLDER, or data=files), or unset HF_HUB_OFFLINE where there is a network"
            ) from None
        except (FileNotFoundError, ValueError, datasets.exceptions.DatasetGenerationError) as error:
            cause = error.__cause__ or error
            raise UserError(f"{self.path!r} cannot be read as a data set: {first_line(cause)}") from None


def label_name(features: Any, column: str, value: Any) -> Any:
    """Labels by their names, where the data set stores numbers and says what they mean (-1 = none); a list of them label by label."""
    feature = features.get(column)
    names = getattr(feature if not isinstance(value, list) else getattr(feature, "feature", None), "names", None)
    if names is None:
        return value
    if isinstance(value, list):
        return [_named(names, number) for number in value]
    return _named(names, value)


def _named(names: Sequence[str], number: Any) -> Any:
    if not isinstance(number, int):
        return number
    return names[number] if 0 <= number < len(names) else None
