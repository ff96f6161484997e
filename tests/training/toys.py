"""Small stand-ins for the tests of training: a task, its rows, a loader that can be resumed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric, SumMetric

from framework import BatchRows
from framework.data.spec import DataSpec
from framework.parts.adapters import LoraAdapter
from framework.registry import Part
from framework.runs.freezing import freeze
from framework.tasks.base import Result, Task
from framework.tasks.capabilities import Distillable, DistillationOutputs
from framework.training.learner import Learner
from framework.training.optimizers import SGD, AdamW
from framework.training.schedules import Constant
from framework.training.trainers import LightningTrainer
from framework.utils.recording import add_loss, log_figure

VOCABULARY, DIM = 11, 8
LOGGED = 4 * torch.finfo(torch.float32).eps  # relative tolerance of logged metrics, each a quotient of two float32 sums


class Layer(nn.Module):
    def __init__(self, dropout: float):
        super().__init__()
        self.linear, self.norm, self.dropout = nn.Linear(DIM, DIM), nn.LayerNorm(DIM), nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.dropout(torch.tanh(self.linear(self.norm(x))))


class Stack(nn.Module):
    def __init__(self, dropout: float):
        super().__init__()
        self.layers = nn.ModuleList([Layer(dropout), Layer(dropout)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class NextTokenTask(Task):
    """Predicts the next token from the token: the smallest language model."""

    def __init__(self, dropout: float = 0.0, seed: int = 0):
        nn.Module.__init__(self)
        torch.manual_seed(seed)
        self.spec = DataSpec(VOCABULARY, 16)
        self.embedding, self.stack, self.output = nn.Embedding(VOCABULARY, DIM), Stack(dropout), nn.Linear(DIM, VOCABULARY)
        self.double()  # two ways of training are compared to a billionth

    def forward(self, batch: dict[str, Any]) -> Result:
        hidden = self.stack(self.embedding(batch["ids"]))
        logits, targets = self.output(hidden), batch["targets"]
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100, reduction="sum")
        return Result(loss, (targets != -100).sum(), logits)

    def evaluate(self, batch: dict[str, Any], decode: Any) -> tuple[Result, list[dict[str, Any]]]:
        result = self(batch)
        read = zip(batch["ids"], result.output.argmax(-1), batch["targets"] != -100, strict=True)
        return result, [
            {"input": ids[padding_mask].tolist(), "prediction": guess[padding_mask].tolist()} for ids, guess, padding_mask in read
        ]

    def metrics(self) -> dict[str, Metric]:
        return {"rows": SumMetric()}

    def update(self, metrics: dict[str, Metric], rows: list[dict[str, Any]]) -> None:
        metrics["rows"].update(float(len(rows)))


class PenalizedTask(NextTokenTask):
    """Main loss: the next token. Auxiliary: sizes of the states at some tokens (another weight), and a part that is called twice."""

    def __init__(self, **options):
        super().__init__(**options)
        self.extra = nn.Linear(8, 1).double()  # has a gradient from an auxiliary loss alone

    def forward(self, batch):
        result = super().forward(batch)
        states = self.stack(self.embedding(batch["ids"]))
        even = (batch["ids"] % 2 == 0) & (batch["targets"] != -100)
        for _ in range(2):
            add_loss("even", 0.1 * self.extra(states)[..., 0].square() * even, even.sum())
        tokens = batch["targets"] != -100
        result.losses["norm"] = ((states.norm(dim=-1) * tokens).sum(), 2 * tokens.sum())
        log_figure("tokens", batch["ids"].numel())
        return result


class DistillableToy(NextTokenTask, Distillable):
    """The toy task as a student or a teacher; counts its forward passes."""

    runs = 0

    def forward(self, batch: dict[str, Any]) -> Result:
        self.runs += 1
        padding_mask = batch["targets"] != -100
        hidden = self.stack(self.embedding(batch["ids"]))[padding_mask]
        outputs = DistillationOutputs(hidden, self.output(hidden))
        loss = nn.functional.cross_entropy(outputs.logits, batch["targets"][padding_mask], reduction="sum")
        return Result(loss, padding_mask.sum(), outputs)

    def distillation_outputs(self, batch: dict[str, Any], result: Result) -> DistillationOutputs:
        return result.output

    def evaluate(self, batch: dict[str, Any], decode: Any) -> tuple[Result, list[dict[str, Any]]]:
        return self(batch), []


def adapted_task(**options: Any) -> NextTokenTask:
    """A task in fine-tuning: frozen embedding, a stack with adapters, and a new output layer."""
    task = NextTokenTask(**options)
    LoraAdapter(rank=2, target_modules="*").attach(task.stack)
    freeze(task, "embedding.*")
    return task


def rows(count: int, seed: int = 0) -> list[list[int]]:
    """Token sequences of different length."""
    random = torch.Generator().manual_seed(seed)
    lengths = torch.randint(2, 9, (count,), generator=random).tolist()
    return [torch.randint(1, VOCABULARY, (length,), generator=random).tolist() for length in lengths]


def batch(sequences: list[list[int]], numbers: list[int], dummy: bool = False) -> dict[str, Any]:
    inputs = [torch.tensor(sequence[:-1]) for sequence in sequences]
    targets = [torch.tensor(sequence[1:]) for sequence in sequences]
    ids = nn.utils.rnn.pad_sequence(inputs, batch_first=True)
    padded = nn.utils.rnn.pad_sequence(targets, batch_first=True, padding_value=-100)
    made = {
        "ids": ids,
        "targets": padded,
        "@rows": BatchRows(numbers, None, *((0, 0) if dummy else (sum(map(len, targets)), ids.numel())), dummy),
    }
    return made


class Loader:
    """Global batches of `size` rows, sharded over the ranks; a rank without a row gets a dummy."""

    def __init__(self, sequences: list[list[int]], size: int, rank: int = 0, world_size: int = 1, shuffle: bool = False):
        self.sequences, self.size, self.rank, self.world_size, self.shuffle = sequences, size, rank, world_size, shuffle
        self.epoch = self.start = 0
        self.sampler, self.batch_sampler = self, None  # as data loaders have them, for `set_epoch`

    def __len__(self) -> int:
        return -(-len(self.sequences) // self.size)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        start, self.start = self.start, 0
        order = list(range(len(self.sequences)))
        if self.shuffle:
            order = torch.randperm(len(order), generator=torch.Generator().manual_seed(self.epoch)).tolist()
        for index in range(start, len(self)):
            mine = order[index * self.size : (index + 1) * self.size][self.rank :: self.world_size]
            yield batch([self.sequences[n] for n in mine or order[:1]], mine or order[:1], dummy=not mine)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def start_at(self, epoch: int, batch: int) -> None:
        self.epoch, self.start = epoch, batch


def learner(task: Task | None = None, optimizer: Part | None = None, schedule: Part | None = None, **options: Any) -> Learner:
    optimizer = optimizer or Part(AdamW, lr=0.01)
    return Learner(task or NextTokenTask(), optimizer, schedule or Part(Constant), config={"task": {"part": "task/toy"}}, **options)


def trainer(folder: Path, **options: Any) -> LightningTrainer:
    options = {"callbacks": [], "logger": [], "max_epochs": 1, "num_sanity_val_steps": 0, "log_every_n_steps": 1, **options}
    return LightningTrainer(accelerator="cpu", devices=options.pop("devices", 1), default_root_dir=str(folder), **options)


def weights(task: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in task.state_dict().items()}


__all__ = [
    "SGD",
    "Loader",
    "DistillableToy",
    "NextTokenTask",
    "PenalizedTask",
    "adapted_task",
    "batch",
    "learner",
    "rows",
    "trainer",
    "weights",
]
