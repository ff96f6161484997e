"""The place of a run: its progress, saved in a checkpoint instead of Lightning's counters, and the options that may change there."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from framework.errors import UserError
from framework.utils.typed import fits


@dataclass(frozen=True)
class Place:
    """Progress of a run: after an optimizer step, after the validation that follows it, or between two epochs.

    epoch: under way, from 0. batches: how many of its batches are done; if all of them are, the end of the epoch is still due. length:
    batches of an epoch. total: batches done in all epochs. steps: optimizer steps. validated: whether validation, if it is due after the
    newest batch, is done. postponed: whether it is due there because it came due within the accumulated step. stopping: whether a callback
    has ended the training here. processes: over which the rows of a batch are divided.

    >>> Place(epoch=1, batches=4, length=9, total=13, steps=13).within
    True
    """

    epoch: int = 0
    batches: int = 0
    length: int = 0
    total: int = 0
    steps: int = 0
    validated: bool = True
    postponed: bool = False
    stopping: bool = False
    processes: int = 1

    @property
    def within(self) -> bool:
        """Whether batches of the epoch are done and others are not."""
        return 0 < self.batches < self.length

    def state_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, checkpoint: Mapping[str, Any]) -> "Place":
        """The place in a checkpoint. UserError: it has none, or one of its fields has another type."""
        loops = checkpoint.get("loops")
        state = loops.get("fit_loop") if isinstance(loops, Mapping) else None
        types = {field.name: field.type for field in fields(cls)}
        if not isinstance(state, Mapping) or state.keys() != types.keys() or not all(fits(state[name], types[name]) for name in types):
            raise UserError("the checkpoint does not say where its run stands: it is not one of this version, or is damaged")
        return cls(**state)

    def check(self, max_epochs: int | None, max_steps: int, processes: int) -> None:
        """UserError: training cannot go on here with these options of the trainer."""
        begun = self.epoch + (self.batches > 0)
        if max_epochs not in (None, -1) and max_epochs < begun:
            raise UserError(
                f"trainer.max_epochs={max_epochs}: this run is in epoch {begun} already. Set trainer.max_epochs={begun} to end it there, "
                "or more to train on."
            )
        if max_steps != -1 and max_steps < self.steps:
            raise UserError(
                f"trainer.max_steps={max_steps}: this run has made {self.steps} steps already. Set trainer.max_steps={self.steps} to end "
                "it there, or more to train on."
            )
        if self.within and processes != self.processes:
            raise UserError(
                f"the run stands within epoch {self.epoch + 1} (batch {self.batches} of {self.length}), whose rows were divided over "
                f"{self.processes} process{'es' * (self.processes > 1)}, not {processes}: some would be skipped or come twice.\n"
                f"Resume it with {self.processes} process{'es' * (self.processes > 1)} (trainer.devices={self.processes} on one machine); "
                "their number may change where an epoch ends."
            )

    def __str__(self) -> str:
        where = (
            f"batch {self.batches} of {self.length} in epoch {self.epoch + 1}"
            if self.within
            else f"the end of epoch {self.epoch + (self.batches > 0)}"
        )
        return f"step {self.steps}, {where}"
