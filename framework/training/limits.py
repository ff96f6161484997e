"""Limits of a training: how many batches, steps and epochs the options of a trainer allow. A module without Lightning, which takes seconds
to import."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from framework.errors import UserError

if TYPE_CHECKING:
    import pytorch_lightning as pl

SPLITS = {"train": "train", "val": "validation", "test": "test"}  # Lightning's name -> ours


@dataclass(frozen=True)
class Limits:
    """The limits of a trainer, with the names and meanings of Lightning's attributes.

    train, validation, test: most batches, as a share or a number. repeats: whether every epoch repeats the batches of the first.
    ends_at_minima: whether the epoch that reaches min_epochs and min_steps is the last.
    val_check_interval: None where it is a time.
    """

    max_epochs: int | None
    max_steps: int
    min_steps: int | None
    accumulate_grad_batches: int
    train: int | float
    validation: int | float
    test: int | float
    val_check_interval: int | float | None
    check_val_every_n_epoch: int | None
    repeats: bool = False
    ends_at_minima: bool = False

    @classmethod
    def of(cls, trainer: "pl.Trainer") -> "Limits":
        """Those of a trainer."""
        return cls(
            max_epochs=trainer.max_epochs,
            max_steps=trainer.max_steps,
            min_steps=trainer.min_steps,
            accumulate_grad_batches=trainer.accumulate_grad_batches,
            train=trainer.limit_train_batches,
            validation=trainer.limit_val_batches,
            test=trainer.limit_test_batches,
            val_check_interval=getattr(trainer, "val_check_interval", None),  # Lightning sets none where it is a time
            check_val_every_n_epoch=trainer.check_val_every_n_epoch,
            repeats=getattr(trainer, "repeats", False),
            ends_at_minima=getattr(trainer, "ends_at_minima", False),
        )

    @classmethod
    def of_node(cls, node: Mapping[str, Any]) -> "Limits":
        """Those that Lightning would make of a config node all of whose values have the trait `ruled` or are its defaults."""
        interval = node["val_check_interval"]
        train, validation, test = (node[f"limit_{name}_batches"] for name in SPLITS)
        return cls(
            max_epochs=node["max_epochs"],
            max_steps=node["max_steps"],
            min_steps=None,
            accumulate_grad_batches=node["accumulate_grad_batches"],
            train=1.0 if train is None else train,
            validation=1.0 if validation is None else validation,
            test=1.0 if test is None else test,
            val_check_interval=1.0 if interval is None else interval if isinstance(interval, int | float) else None,
            check_val_every_n_epoch=node["check_val_every_n_epoch"],
        )

    def planned_steps(self, batches: int) -> float:
        """Optimizer steps of a run with so many batches an epoch, as Lightning's `estimated_stepping_batches` without data loaders;
        `math.inf` if nothing limits it."""
        steps, epochs = self.steps_of_epoch(batches), self.max_epochs or 1
        if self.ends_at_minima:
            epochs = max(epochs, math.ceil((self.min_steps or 0) / steps))
        total = math.inf if epochs == -1 else steps * epochs
        return total if self.max_steps == -1 else min(total, self.max_steps)

    def steps_of_epoch(self, batches: int) -> int:
        """Optimizer steps of an epoch of so many batches."""
        return max(1, math.ceil(self.batches_of_epoch(batches) / self.accumulate_grad_batches))

    def batches_of_epoch(self, batches: int) -> int:
        """Training batches of an epoch where there are so many."""
        return min(batches, self.train) if isinstance(self.train, int) else int(batches * self.train)

    def check(self, batches: Mapping[str, int]) -> None:
        """UserError: a limit leaves nothing of the batches of a split, or an epoch is over before its first validation. batches: of each
        split, `train` among them."""
        for name, split in SPLITS.items():
            share = getattr(self, split)
            if isinstance(share, float) and share > 0 and split in batches and int(share * batches[split]) < 1:
                option = "overfit_batches" if self.repeats else f"limit_{name}_batches"
                raise UserError(
                    f"trainer.{option}={share}: the {split} rows make {batches[split]} batch{'es' * (batches[split] > 1)}, and that share "
                    f"of them is less than one; trainer.{option}=1 is one batch"
                )
        interval, epoch = self.val_check_interval, self.batches_of_epoch(batches["train"])
        if interval is None or self.check_val_every_n_epoch is None or not self.validation:
            return
        if isinstance(interval, int) and interval > epoch:
            raise UserError(
                f"trainer.val_check_interval={interval}: an epoch has {epoch} batches. Set at most {epoch}, or "
                "trainer.check_val_every_n_epoch=null, which counts batches from epoch to epoch."
            )
        if isinstance(interval, float) and int(interval * epoch) < 1:
            raise UserError(
                f"trainer.val_check_interval={interval}: an epoch has {epoch} batches, and that share of them is less than one; "
                "trainer.val_check_interval=1 validates after each batch"
            )
