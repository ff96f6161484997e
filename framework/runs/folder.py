"""The folder of a run, `runs/TASK/NAME_DATE_TIME`: it has all that is needed to resume, measure and use the run.

config.yaml      every option, explicit                 checkpoints/       best.ckpt, last.ckpt
run.json         overrides, versions, state and times   metrics.csv        metrics by step
tokenizer.json   tokenizer of the run                   metrics.json       final metrics of the best checkpoint
data_spec.json   vocabulary, labels, statistics         predictions.jsonl  predictions for the test rows, or without a
labels.csv       number of each label in each split                        test part for the validation rows
train.log        printed output                         lock-1.jsonl       who trains in it now (runs.lock)
code.diff        of a git repository against its commit, where they differ
"""

import errno
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from framework.config.discovery import DISTRIBUTION
from framework.data.labels import read_labels, write_labels
from framework.errors import UserError
from framework.runs.provenance import distributions, library_versions, with_present_parts
from framework.runs.saved import saved_config, saved_metrics, saved_notes
from framework.utils.cpu_clock import cpu_seconds
from framework.utils.files import new_folder, write_text
from framework.utils.json_text import to_json
from framework.utils.yaml_files import dump


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
        self.labels, self.log = folder / "labels.csv", folder / "train.log"
        self.metrics, self.predictions = folder / "metrics.json", folder / "predictions.jsonl"
        self.exported = folder / "model.safetensors"  # in a folder exported with to=safetensors, which can be opened like a run

    @property
    def checkpoint(self) -> Path | None:
        """The file with the best weights there are; None before the first checkpoint."""
        return next((path for path in (self.best, self.last, self.exported) if path.exists()), None)

    @classmethod
    def create(
        cls,
        root: Path,
        task: str,
        config: Mapping[str, Any],
        overrides: Sequence[str] = (),
        chosen: Mapping[str, str] | None = None,
        settings: Sequence[str] = (),
        place: Path | None = None,
    ) -> "Run":
        """A new folder with the config of a run. It is there with config.yaml and run.json or not at all; two runs within one second get
        two folders. settings: a line for each setting that was chosen from the training rows. place: the folder of a job of a sweep.

        UserError: the folder cannot be made, because the name is too long or the folder above it is not ours."""
        stem = f"{config['name']}_{datetime.now():%Y-%m-%d_%H-%M-%S}"
        folder, number = place or root / task / stem, 1
        notes = {"overrides": list(overrides), "chosen": dict(chosen or {}), "versions": library_versions(), "parts": distributions(config)}
        notes |= {"settings": list(settings)} if settings else {}
        try:
            while True:
                try:
                    with new_folder(folder) as partial:
                        run = cls(partial)
                        run.save_config(config)
                        run.save_notes({**notes, "created": f"{datetime.now(UTC).isoformat(timespec='milliseconds')}"})
                    return cls(folder)
                except OSError as error:
                    if place or error.errno not in (errno.EEXIST, errno.ENOTEMPTY) or not folder.is_dir():
                        raise
                    number += 1
                    folder = root / task / f"{stem}_{number}"
        except OSError as error:
            why = error.strerror or error
            raise UserError(
                f"the run cannot have the folder {folder}: {why}\nruns=DIR names another folder for runs, name=NAME another name"
            ) from None

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

    def go_on(self, config: Mapping[str, Any], overrides: Sequence[str]) -> "Run":
        """The same folder for the resumed run, with its changed config and the overrides that changed it."""
        notes = self.notes()
        notes.pop("temperature", None)  # of the weights before
        self.save_config(config)
        added = {"overrides": [*notes["overrides"], *overrides], "versions": library_versions(), "parts": distributions(config)}
        self.save_notes({**notes, **added})
        return self

    def config(self) -> dict[str, Any]:
        """The explicit config, its parts under the names that they have now. UserError: the file is damaged, or a plugin is gone."""
        config = self.saved_config()
        if not (self.folder / "run.json").is_file():
            return config
        recorded = {part: distribution for part, distribution in self.notes().get("parts", {}).items() if _of_a_plugin(distribution)}
        try:
            return with_present_parts(config, recorded) if recorded else config
        except UserError as error:
            raise UserError(f"{self.folder}: {error}") from None

    def saved_config(self) -> dict[str, Any]:
        """The explicit config as it was saved. UserError: the file is damaged, or no config of a run."""
        return saved_config(self.folder / "config.yaml")

    def overrides(self) -> list[str]:
        """The overrides of the run, those of its resumptions included."""
        return self.notes()["overrides"]

    def chosen(self) -> dict[str, str]:
        """Group -> chosen option."""
        return self.notes()["chosen"]

    def save_origin(self, config: Mapping[str, Any]) -> None:
        """Writes run.json in a folder that is exported: the versions and distributions that its parts need."""
        self.save_notes({"overrides": [], "chosen": {}, "versions": library_versions(), "parts": distributions(config)})

    def versions(self) -> dict[str, str]:
        """Versions of Python and the libraries that the run was trained with."""
        return self.notes()["versions"]

    def save_sizes(
        self, sizes: Mapping[str, Mapping[str, int]], remarks: Sequence[str] = (), checksums: Mapping[str, int] | None = None
    ) -> None:
        """Saves the numbers of rows and tokens of each split, sentences about them, and checksums of the rows of evaluation splits."""
        data = {split: dict(size) for split, size in sizes.items()}
        self.save_notes({**self.notes(), "data": data, "remarks": list(remarks), "checksums": dict(checksums or {})})

    def checksums(self) -> dict[str, int]:
        """Evaluation split -> checksum of its rows; empty before the data is encoded."""
        return self.notes().get("checksums", {})

    def remarks(self) -> list[str]:
        """Sentences about the encoded data; none before it is encoded."""
        return self.notes().get("remarks", [])

    def sizes(self) -> dict[str, dict[str, int]]:
        """Split -> numbers of rows and tokens; empty before the data is encoded."""
        return self.notes().get("data", {})

    def save_labels(self, labels: Mapping[str, Mapping[str, int]]) -> None:
        """Saves how often each split has each label; nothing if there are no labels."""
        if labels:
            write_labels(self.labels, labels)

    def label_counts(self) -> dict[str, dict[str, int]]:
        """Split -> label -> how often it occurs; empty before the data is encoded, and of data without labels."""
        return read_labels(self.labels) if self.labels.exists() else {}

    def save_metrics(
        self,
        metrics: Mapping[str, float],
        monitor: str,
        signatures: Mapping[str, str] | None = None,
        costs: Mapping[str, int] | None = None,
        verdict: str = "",
        hints: Sequence[str] = (),
    ) -> None:
        """Saves the final metrics of the best checkpoint. monitor: the metric it was chosen by. signatures: how metrics were computed.
        costs: the numbers of parameters, of trained parameters, and of tokens that the run was trained on. verdict, hints: whether it is
        better than its baseline, in a sentence, and if not, what to try.

        run.json also gets the CPU-seconds of this process (of a sweep, since the job began), added to those of earlier processes of the
        run that ended regularly.
        """
        write_text(self.metrics, to_json(metrics, indent=1) + "\n")
        notes = self.notes()
        seconds = round(notes.get("cpu_seconds", 0.0) + cpu_seconds(), 1)
        notes |= {"monitor": monitor, "signatures": dict(signatures or {}), "cpu_seconds": seconds, **(costs or {})}
        self.save_notes({**notes, "verdict": verdict, "hints": list(hints)})

    def save_temperature(self, temperature: float) -> None:
        """Saves what predictions divide scores by."""
        self.save_notes({**self.notes(), "temperature": temperature})

    def temperature(self) -> float:
        """Temperature by which predictions divide scores. UserError: run.json has none above 0."""
        temperature: float = self.notes().get("temperature", 1.0)
        if not 0 < temperature < math.inf:
            raise UserError(f"{self.folder / 'run.json'}: temperature is {temperature} and must be a positive number")
        return temperature

    def results(self) -> dict[str, float]:
        """The final metrics of the best checkpoint, NaN where the file has null; empty before the run has ended."""
        return saved_metrics(self.metrics)

    def objective(self) -> float | None:
        """The metric that the best checkpoint was chosen by; None before the run has ended."""
        return self.results().get(self.notes().get("monitor", ""))

    def save_config(self, config: Mapping[str, Any]) -> None:
        """Writes the explicit config."""
        write_text(self.folder / "config.yaml", dump(dict(config)))

    def notes(self) -> dict[str, Any]:
        """The content of run.json. UserError: it is missing or damaged."""
        return saved_notes(self.folder / "run.json")

    def save_notes(self, notes: Mapping[str, Any]) -> None:
        """Writes run.json."""
        write_text(self.folder / "run.json", to_json(notes, indent=1) + "\n")


def _of_a_plugin(distribution: str) -> bool:
    """Whether a part comes from another distribution than the framework's."""
    return distribution.partition(" ")[0] != DISTRIBUTION
