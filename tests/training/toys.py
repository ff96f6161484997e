"""Small stand-ins for the tests of training: a task, its rows, a loader that can be resumed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric, SumMetric

from framework.data.facts import Facts
from framework.parts.adapters import LoraAdapter
from framework.registry import Part
from framework.training.freezing import freeze
from framework.training.learner import Learner
from framework.training.optimizers import SGD, AdamW
from framework.training.schedules import Constant
from framework.training.task import Result, Task
from framework.training.told import Told
from framework.training.trainers import LightningTrainer

VOCABULARY, DIM = 11, 8
FIGURE = 4 * torch.finfo(torch.float32).eps  # relative; what is logged of training is one float32 sum over another


class Layer(nn.Module):
    def __init__(self, dropout: float):
        super().__init__()
        self.linear, self.norm, self.dropout = nn.Linear(DIM, DIM), nn.LayerNorm(DIM), nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.dropout(torch.tanh(self.linear(self.norm(x))))


class Stack(nn.Module):
    sealed = True

    def __init__(self, dropout: float):
        super().__init__()
        self.layers = nn.ModuleList([Layer(dropout), Layer(dropout)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class ToyTask(Task):
    """Tells the next token from the token; as small as a language model gets. `side`: a loss on the side, for each batch."""

    def __init__(self, dropout: float = 0.0, side: float = 0.0, seed: int = 0):
        super().__init__()
        torch.manual_seed(seed)
        self.facts = Facts(VOCABULARY, 16)
        self.embedding, self.stack, self.output = nn.Embedding(VOCABULARY, DIM), Stack(dropout), nn.Linear(DIM, VOCABULARY)
        self.side = side
        self.double()  # so that what is the same in two ways is so to a billionth

    def forward(self, batch: dict[str, Any]) -> Result:
        hidden = self.stack(self.embedding(batch["ids"]))
        if self.side:
            self.stack.side_loss = self.side * hidden.square().mean()
        logits, targets = self.output(hidden), batch["targets"]
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100, reduction="sum")
        return Result(loss, (targets != -100).sum(), logits)

    def evaluate(self, batch: dict[str, Any], decode: Any) -> tuple[Result, list[dict[str, Any]]]:
        result = self(batch)
        read = zip(batch["ids"], result.output.argmax(-1), batch["targets"] != -100, strict=True)
        return result, [{"input": ids[real].tolist(), "prediction": guess[real].tolist()} for ids, guess, real in read]

    def metrics(self) -> dict[str, Metric]:
        return {"rows": SumMetric()}

    def update(self, metrics: dict[str, Metric], rows: list[dict[str, Any]]) -> None:
        metrics["rows"].update(float(len(rows)))


class TellingTask(ToyTask):
    """The toy as one that can teach, or be taught; counts how often it runs."""

    runs = 0

    def forward(self, batch: dict[str, Any]) -> Result:
        self.runs += 1
        real = batch["targets"] != -100
        hidden = self.stack(self.embedding(batch["ids"]))[real]
        told = Told(hidden, self.output(hidden))
        return Result(nn.functional.cross_entropy(told.logits, batch["targets"][real], reduction="sum"), real.sum(), told)

    def told(self, batch: dict[str, Any], result: Result) -> Told:
        return result.output

    def evaluate(self, batch: dict[str, Any], decode: Any) -> tuple[Result, list[dict[str, Any]]]:
        return self(batch), []


def adapted_task(**options: Any) -> ToyTask:
    """As a fine-tuned one: the embedding is frozen, the stack has an adapter in place of its own weights, the output is new."""
    task = ToyTask(**options)
    LoraAdapter(rank=2, target="*").attach(task.stack)
    freeze(task, "embedding.*")
    return task


def rows(count: int, seed: int = 0) -> list[list[int]]:
    """Token sequences of unequal length."""
    random = torch.Generator().manual_seed(seed)
    lengths = torch.randint(2, 9, (count,), generator=random).tolist()
    return [torch.randint(1, VOCABULARY, (length,), generator=random).tolist() for length in lengths]


def batch(sequences: list[list[int]], numbers: list[int], ghost: bool = False) -> dict[str, Any]:
    inputs = [torch.tensor(sequence[:-1]) for sequence in sequences]
    targets = [torch.tensor(sequence[1:]) for sequence in sequences]
    ids = nn.utils.rnn.pad_sequence(inputs, batch_first=True)
    padded = nn.utils.rnn.pad_sequence(targets, batch_first=True, padding_value=-100)
    made = {"ids": ids, "targets": padded, "row": torch.tensor(numbers), "tokens": sum(map(len, targets)), "slots": ids.numel()}
    return {**made, "ghost": True} if ghost else made


class Loader:
    """Global batches of `size` rows, dealt row by row to the ranks; a rank without a row gets a ghost. Goes on where its state says."""

    def __init__(self, sequences: list[list[int]], size: int, rank: int = 0, world: int = 1, shuffle: bool = False):
        self.sequences, self.size, self.rank, self.world, self.shuffle = sequences, size, rank, world, shuffle
        self.epoch = self.served = 0

    def __len__(self) -> int:
        return -(-len(self.sequences) // self.size)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if self.served == len(self):  # Lightning never asks for the end of an epoch
            self.epoch, self.served = self.epoch + 1, 0
        order = list(range(len(self.sequences)))
        if self.shuffle:
            order = torch.randperm(len(order), generator=torch.Generator().manual_seed(self.epoch)).tolist()
        for index in range(self.served, len(self)):
            mine = order[index * self.size : (index + 1) * self.size][self.rank :: self.world]
            self.served += 1
            yield batch([self.sequences[n] for n in mine or order[:1]], mine or order[:1], ghost=not mine)

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self.epoch, "served": self.served}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.epoch, self.served = state["epoch"], state["served"]


def learner(task: Task | None = None, optimizer: Part | None = None, schedule: Part | None = None, **options: Any) -> Learner:
    optimizer = optimizer or Part(AdamW, lr=0.01)
    return Learner(task or ToyTask(), optimizer, schedule or Part(Constant), config={"task": {"part": "task/toy"}}, **options)


def trainer(folder: Path, **options: Any) -> LightningTrainer:
    options = {"callbacks": [], "logger": [], "max_epochs": 1, "num_sanity_val_steps": 0, "log_every_n_steps": 1, **options}
    return LightningTrainer(accelerator="cpu", devices=options.pop("devices", 1), default_root_dir=str(folder), **options)


def weights(task: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in task.state_dict().items()}


__all__ = ["SGD", "Loader", "TellingTask", "ToyTask", "adapted_task", "batch", "learner", "rows", "trainer", "weights"]
