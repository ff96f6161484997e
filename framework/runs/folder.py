"""The folder of a run, `runs/TASK/NAME_DATE_TIME`: it has all that is needed to resume, measure and use the run.

config.yaml      every option, explicit                 checkpoints/       best.ckpt, last.ckpt
run.json         overrides, versions, distributions     metrics.csv        metrics by step
tokenizer.json   tokenizer of the run                   metrics.json       final metrics of the best checkpoint
data_spec.json   vocabulary, labels, statistics         predictions.jsonl  predictions for the test rows, or without a
labels.csv       number of each label in each split                        test part for the validation rows
train.log        printed output
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from framework.config.discovery import DISTRIBUTION
from framework.data.labels import read_labels, write_labels
from framework.errors import UserError
from framework.runs.provenance import distributions, library_versions, with_present_parts
from framework.runs.saved import saved_config, saved_metrics, saved_notes
from framework.utils.files import write_text
from framework.utils.yaml_files import dump

RUNS = Path("runs")  # the folder of all runs, in the current one


class Run:
    """A run on disk, and the paths of its files.

    >>> run = open_run("runs/last")
    >>> run.config()["task"]["part"], run.best.exists()
    ('task/classification', True)
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.checkpoints = folder / "checkpoints"
        self.best, self.last = self.checkpoints / "best.ckpt", self.checkpoints / "last.ckpt"
        self.tokenizer, self.spec = folder / "tokenizer.json", folder / "data_spec.json"
        self.labels = folder / "labels.csv"
        self.metrics, self.predictions = folder / "metrics.json", folder / "predictions.jsonl"
        self.exported = folder / "model.safetensors"  # in a folder exported with to=safetensors, which can be opened like a run

    @property
    def checkpoint(self) -> Path | None:
        """The file with the best weights there are; None before the first checkpoint."""
        return next((path for path in (self.best, self.last, self.exported) if path.exists()), None)

    @classmethod
    def create(
        cls, root: Path, task: str, config: Mapping[str, Any], overrides: Sequence[str] = (), chosen: Mapping[str, str] | None = None
    ) -> "Run":
        """A new folder with the config of a run; `root/last` points to it. Two runs within one second get two folders.

        UserError: the folder cannot be made, because the name is too long or the folder above it is not ours."""
        stem = f"{config['name']}_{datetime.now():%Y-%m-%d_%H-%M-%S}"
        folder, number = root / task / stem, 1
        while True:
            try:
                folder.mkdir(parents=True)
                break
            except FileExistsError:
                number += 1
                folder = root / task / f"{stem}_{number}"
            except OSError as error:
                raise UserError(
                    f"the run cannot have the folder {folder}: {error.strerror or error}; name=NAME gives it another one"
                ) from None
        run = cls(folder)
        run.save_config(config)
        run._write_notes(overrides=list(overrides), chosen=dict(chosen or {}), versions=library_versions(), parts=distributions(config))
        _point(root / "last", folder)
        return run

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """The run in a folder; `runs/last` is the newest. UserError: the folder is no run."""
        path = Path(folder)
        if path.name == "last" and path.is_file():  # on a file system without links
            path = path.parent / path.read_text(encoding="utf-8").strip()
        if not path.exists():
            raise UserError(f"{folder}: there is no such run folder. Runs lie in runs/TASK/NAME_DATE_TIME; runs/last is the newest.")
        run = cls(path.resolve())
        if not (run.folder / "config.yaml").is_file():
            raise UserError(f"{folder} is no run: it has no config.yaml. Runs lie in runs/TASK/NAME_DATE_TIME; runs/last is the newest.")
        run.config()
        return run

    @classmethod
    def newest(cls, root: Path, task: str | None, name: str) -> "Run | None":
        """The newest run of that name (and task); None if there is none."""
        named = [path.parent for path in root.glob(f"{task or '*'}/*/config.yaml")]
        runs = [cls(folder.resolve()) for folder in named if folder.name.startswith(f"{name}_")]
        runs = [run for run in runs if run._saved_config().get("name") == name]
        return max(runs, key=lambda run: (run.folder / "run.json").stat().st_ctime_ns, default=None)

    def go_on(self, config: Mapping[str, Any], overrides: Sequence[str]) -> "Run":
        """The same folder for the resumed run, with its changed config and the overrides that changed it."""
        notes = self._notes()
        notes["overrides"] += [word for word in overrides if not word.lstrip("+").startswith("resume=")]
        self.save_config(config)
        self._write_notes(**{**notes, "versions": library_versions(), "parts": distributions(config)})
        return self

    def config(self) -> dict[str, Any]:
        """The explicit config, its parts under the names that they have now. UserError: the file is damaged, or a plugin is gone."""
        config = self._saved_config()
        if not (self.folder / "run.json").is_file():
            return config
        recorded = {part: distribution for part, distribution in self._notes().get("parts", {}).items() if _of_a_plugin(distribution)}
        try:
            return with_present_parts(config, recorded) if recorded else config
        except UserError as error:
            raise UserError(f"{self.folder}: {error}") from None

    def _saved_config(self) -> dict[str, Any]:
        return saved_config(self.folder / "config.yaml")

    def overrides(self) -> list[str]:
        """The overrides of the run, those of its resumptions included."""
        return self._notes()["overrides"]

    def chosen(self) -> dict[str, str]:
        """Group -> chosen option."""
        return self._notes()["chosen"]

    def save_origin(self, config: Mapping[str, Any]) -> None:
        """Writes run.json in a folder that is exported: the versions and distributions that its parts need."""
        self._write_notes(overrides=[], chosen={}, versions=library_versions(), parts=distributions(config))

    def versions(self) -> dict[str, str]:
        """Versions of Python and the libraries that the run was trained with."""
        return self._notes()["versions"]

    def save_sizes(
        self, sizes: Mapping[str, Mapping[str, int]], remarks: Sequence[str] = (), checksums: Mapping[str, int] | None = None
    ) -> None:
        """Saves the numbers of rows and tokens of each split, sentences about them, and checksums of the rows of evaluation splits."""
        data = {split: dict(size) for split, size in sizes.items()}
        self._write_notes(**{**self._notes(), "data": data, "remarks": list(remarks), "checksums": dict(checksums or {})})

    def checksums(self) -> dict[str, int]:
        """Evaluation split -> checksum of its rows; empty before the data is encoded."""
        return self._notes().get("checksums", {})

    def remarks(self) -> list[str]:
        """Sentences about the encoded data; none before it is encoded."""
        return self._notes().get("remarks", [])

    def sizes(self) -> dict[str, dict[str, int]]:
        """Split -> numbers of rows and tokens; empty before the data is encoded."""
        return self._notes().get("data", {})

    def save_labels(self, labels: Mapping[str, Mapping[str, int]]) -> None:
        """Saves how often each split has each label; nothing if there are no labels."""
        if labels:
            write_labels(self.labels, labels)

    def label_counts(self) -> dict[str, dict[str, int]]:
        """Split -> label -> how often it occurs; empty before the data is encoded, and of data without labels."""
        return read_labels(self.labels) if self.labels.exists() else {}

    def save_metrics(self, metrics: Mapping[str, float], monitor: str, signatures: Mapping[str, str] | None = None) -> None:
        """Saves the final metrics of the best checkpoint. monitor: the metric it was chosen by. signatures: how metrics were computed.

        run.json also gets the CPU-seconds of this process, added to those of earlier processes of the run that ended regularly.
        """
        write_text(self.metrics, json.dumps(dict(metrics), indent=1) + "\n")
        notes = self._notes()
        seconds = round(notes.get("cpu_seconds", 0.0) + time.process_time(), 1)
        self._write_notes(**{**notes, "monitor": monitor, "signatures": dict(signatures or {}), "cpu_seconds": seconds})

    def results(self) -> dict[str, float]:
        """The final metrics of the best checkpoint; empty before the run has ended."""
        return saved_metrics(self.metrics)

    def objective(self) -> float | None:
        """The metric that the best checkpoint was chosen by; None before the run has ended."""
        return self.results().get(self._notes().get("monitor", ""))

    @contextlib.contextmanager
    def logged(self) -> Iterator[None]:
        """Copies everything printed inside the block to train.log."""
        with open(self.folder / "train.log", "a", encoding="utf-8") as file:
            with contextlib.redirect_stdout(_Tee(sys.stdout, file)), contextlib.redirect_stderr(_Tee(sys.stderr, file)):
                yield

    def save_config(self, config: Mapping[str, Any]) -> None:
        """Writes the explicit config."""
        write_text(self.folder / "config.yaml", dump(dict(config)))

    def _notes(self) -> dict[str, Any]:
        return saved_notes(self.folder / "run.json")

    def _write_notes(self, **notes: Any) -> None:
        write_text(self.folder / "run.json", json.dumps(notes, indent=1, ensure_ascii=False) + "\n")


def _of_a_plugin(distribution: str) -> bool:
    """Whether a part comes from another distribution than the framework's."""
    return distribution.partition(" ")[0] != DISTRIBUTION


def _point(link: Path, folder: Path) -> None:
    """Makes `link` a symbolic link to the folder; on a file system without links, a file with its path."""
    target = os.path.relpath(folder, link.parent)
    beside = link.with_name(f".{link.name}.{os.getpid()}")
    try:
        beside.symlink_to(target, target_is_directory=True)
    except OSError:
        write_text(link, target + "\n")
    else:
        os.replace(beside, link)


class _Tee:
    """A stream that also writes to a file."""

    def __init__(self, stream: TextIO, file: TextIO):
        self._stream, self._file = stream, file

    def write(self, text: str) -> int:
        self._file.write(text)
        return self._stream.write(text)

    def flush(self) -> None:
        self._file.flush()
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
