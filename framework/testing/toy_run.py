"""A run at toy size: a task that learns to count letters, and its training with the learner of the framework."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from framework.data.formats import Batch, Format, Row, TextTokenizer
from framework.data.module import Prepared
from framework.data.spec import DataSpec
from framework.registry import Part
from framework.tasks.base import Result, Task
from framework.testing.toy_task import ToyTask
from framework.training.learner import Learner

ROWS = 24  # in batches of four: six steps an epoch
MONITOR = "validation/loss"


class LetterFormat(Format):
    """A text of two letters, and whether it has more of the first."""

    columns, optional = ("text", "label"), ("label",)

    def encode(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec) -> dict[str, Any]:
        features: dict[str, Any] = {"ids": tokenizer.encode(row["text"])}
        return features if row.get("label") is None else {**features, "label": row["label"]}

    def builtin(self, split: str, seed: int) -> Iterator[Row]:
        for number in range(ROWS):
            first, second = number % 5 + 1, number % 3 + 2
            yield {"text": "a" * first + "b" * second, "label": int(first > second)}


class LetterTask(Task):
    """Two scores of a text from the mean of its embeddings, with dropout."""

    format: Any = Part(LetterFormat)

    def __init__(self, model: Part, spec: DataSpec, format: Format):
        nn.Module.__init__(self)
        self.spec, self.format = spec, format
        self.model, self.norm = nn.Embedding(spec.vocab_size, 8), nn.LayerNorm(8)
        self.dropout, self.head = nn.Dropout(0.1), nn.Linear(8, 2)

    def forward(self, batch: Batch) -> Result:
        scores = self.head(self.dropout(self.norm(self.model(batch["ids"]).mean(1))))
        return Result.of(cross_entropy(scores, batch["label"], reduction="none"), scores)

    def rows(self, result: Result, batch: Batch) -> list[dict[str, Any]]:
        return [{"prediction": row.index(max(row))} for row in result.output.tolist()]


class ToyRun:
    """The pieces of a run in a folder. Every run made of them has the same rows and the same initial weights."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.toy = ToyTask(Part(LetterTask), rows=list(LetterFormat().builtin("train", 0)))
        self.prepared: Prepared = self.toy.prepared

    def learner(self, seed: int = 0) -> Learner:
        """A new learner, with its task. seed: of its initial weights."""
        return Learner(
            self.toy.task(seed),
            Part("optimizer/adamw", lr=0.05),
            Part("schedule/constant", warmup=2),
            config={"seed": 0},
            decode=self.toy.decode,
            folder=self.folder,
        )

    def trainer(self, trainer: Part | str = "trainer/lightning", callbacks: Any = (), trackers: Any = (), **values: Any) -> pl.Trainer:
        """A trainer on the processor. values: of its options."""
        part = Part(trainer) if isinstance(trainer, str) else trainer
        few = {"max_epochs": 2, "accelerator": "cpu", "devices": 1, "num_sanity_val_steps": 0, "log_every_n_steps": 1}
        return Part(part.target, **{**part.values, **few, **values})(
            callbacks=list(callbacks), logger=list(trackers), plugins=[], default_root_dir=self.folder
        )

    def fit(self, trainer: pl.Trainer, learner: Learner | None = None, resume: Path | None = None, validation: bool = True) -> Learner:
        """Train. resume: a checkpoint to go on from, with a learner of other initial weights."""
        learner = learner or self.learner(seed=0 if resume is None else 1)
        torch.manual_seed(0)
        trainer.fit(learner, self.prepared.loader("train"), self.prepared.loader("validation") if validation else None, ckpt_path=resume)
        return learner


@contextmanager
def toy_run() -> Iterator[ToyRun]:
    """A run in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        yield ToyRun(Path(folder))


def weights(learner: Learner) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in learner.task.state_dict().items()}
