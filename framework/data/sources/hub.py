"""Data sets of the Hugging Face Hub, or local folders in the same layout."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from framework.data.fingerprints import code_of
from framework.data.formats import Format
from framework.data.sources.base import SPLITS, LocatedRow, Source
from framework.errors import UserError
from framework.registry import Part, choice, nearest, register
from framework.utils.hub import first_line, reachable


@register("data")
class HubData(Source):
    """A data set of the Hugging Face Hub, or a local folder in the same layout, read by `datasets`.

    path: name on the Hub (stanfordnlp/sst2) or a folder.
    name: configuration of the data set, if it has several.
    revision: a branch, tag or commit of the data set.
    train, validation, test: names of these splits in the data set; a missing one is left out, except train.
    columns: column of the data set for each column of the task, `data.columns.text=sentence`: a name (with a path into lists and objects,
        messages.0.content), a list (the values of a row as a list; for labels, columns of 0 and 1) or a template "{title} {body}"; by
        default the task's own names.
    join: text between the texts of a list, for columns of the task that need one text: `data.join.text=' '`.
    validation_share: share of the training rows that becomes the validation split if there is none; 0 = no validation split.
    test_share: share of the training rows that becomes the test split if there is none, the same rows for every seed; 0 = no test split.
    split: which training rows: random ones, each label with its share (validation by seed), or the last ones.
    folds, fold: cross-validation: the training rows fall into so many folds, by label and the same for every seed, and the one of this
        number, from 1, is the test split. `data.folds=5` alone on the command line trains all, each as a run of a sweep. null = none.
    limit: most rows of each split, a random sample in their order (of running text, successive rows); null = all.
    batches: how rows are batched.
    workers: processes that prefetch batches; 0 = none.
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
        join: dict[str, str] = {},  # noqa: B006 - never written to
        validation_share: float = 0.05,
        test_share: float = 0.0,
        split: Literal["random", "last"] = "random",
        folds: int | None = None,
        fold: int | None = None,
        limit: int | None = None,
        batches: Part = choice("batches", "buckets"),
        workers: int = 0,
    ):
        super().__init__(format, seed, columns, validation_share, test_share, split, limit, batches, workers, join, folds, fold)
        self.path, self.name, self.revision = path, name, revision
        self.split_names = {key: value for key, value in zip(SPLITS, (train, validation, test), strict=True) if value}
        self._loaded: Any = None

    def native_splits(self) -> tuple[str, ...]:
        return tuple(split for split, name in self.split_names.items() if name in self._data())

    def check(self) -> None:
        names = list(self._data())
        if self.split_names["train"] not in names:
            name = self.split_names["train"]
            raise UserError(f"{self.path} has no split {name!r}{nearest(name, names)}; it has: {', '.join(names)} (set data.train=SPLIT)")
        super().check()
        for split in self.native_splits():
            data = self._data()[self.split_names[split]]
            if not len(data):
                raise UserError(f"{self.path}: the split {self.split_names[split]!r} has no rows")
            next(self.read(split))

    def read(self, split: str) -> Iterator[LocatedRow]:
        name = self.split_names[split]
        data = self._data()[name]
        rows, number = iter(data), 0
        while True:
            number += 1
            where = f"{self.path} {name}, row {number}"
            try:
                values = next(rows, None)
            except (OSError, ValueError, OverflowError) as error:
                raise UserError(
                    f"{where} cannot be read: {first_line(error)}\nrepair or remove the row, or download the data set again"
                ) from None
            if values is None:
                return
            yield self.columns.pick(values, where, lambda column, value: label_name(feature_of(data.features, column), value)), where

    def size(self, split: str) -> int:
        return len(self._data()[self.split_names[split]])

    def origin(self, split: str) -> Any:
        name = self.split_names[split]
        fingerprint = self._data()[name]._fingerprint
        return {"path": self.path, "split": name, "fingerprint": fingerprint, "join": self.columns.join, "read by": code_of(self)}

    def _data(self) -> Any:
        """split name -> rows, memory-mapped by `datasets` and loaded once."""
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded

    def _load(self) -> Any:
        if not self.path:
            raise UserError("data=hub needs a data set: set data.path=NAME (as on huggingface.co/datasets) or a folder")
        local = Path(self.path).expanduser().is_dir()
        try:
            import datasets  # takes 1 s
            import huggingface_hub.constants
        except ImportError:
            raise UserError("data=hub needs the package datasets: python -m pip install datasets") from None
        if not local and not reachable():  # the cache is read at once, without waiting for the network
            datasets.config.HF_HUB_OFFLINE = huggingface_hub.constants.HF_HUB_OFFLINE = True
        try:
            return datasets.load_dataset(str(Path(self.path).expanduser()) if local else self.path, self.name, revision=self.revision)
        except ConnectionError as error:
            raise UserError(
                f"the Hugging Face Hub cannot be reached and {self.path!r} was not downloaded before: {first_line(error)}\n"
                "set data.path=FOLDER to a local copy, or unset HF_HUB_OFFLINE if there is a network"
            ) from None
        except (FileNotFoundError, ValueError, datasets.exceptions.DatasetGenerationError) as error:
            cause = error.__cause__ or error
            raise UserError(f"{self.path!r} cannot be read as a data set: {first_line(cause)}") from None


def feature_of(features: Any, name: str) -> Any:
    """The type that a data set declares for a column, or for the path a.0.b into it; None if there is none."""
    if isinstance(features, Mapping) and name in features:
        return features[name]
    first, _, rest = name.partition(".")
    if isinstance(features, Mapping):
        return feature_of(features[first], rest) if rest and first in features else None
    inner = features[0] if isinstance(features, list) and features else getattr(features, "feature", None)
    if inner is None or not first.lstrip("-").isdecimal():
        return None
    return feature_of(inner, rest) if rest else inner


def label_name(feature: Any, value: Any) -> Any:
    """The name of a label that a data set stores as a class number (-1 = none); of a list, the names of its labels."""
    if isinstance(value, list):
        return [label_name(getattr(feature, "feature", None), item) for item in value]
    names = getattr(feature, "names", None)
    if names is None or not isinstance(value, int):
        return value
    return names[value] if 0 <= value < len(names) else None
