"""A trial of a run's options: all that takes them is built once, on the meta device, before the run has a folder.

The rules of our own parts refuse most mistakes earlier, without torch. What is left are the options of Lightning and torch, and parts of
other packages that have no rules: what their constructors raise for a value is the user's mistake here, and would be a traceback later.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_lightning.utilities.exceptions import MisconfigurationException
from torch import nn

from framework.errors import UserError
from framework.registry import as_part, build
from framework.runs.build import build_task, placeholder_spec
from framework.training.callbacks import build_callbacks
from framework.training.trainers import check_batches, planned_steps
from framework.weights.meta import meta_device
from framework.workflows.memory import check_memory

if TYPE_CHECKING:
    from framework.data.module import Prepared


def try_options(config: Mapping[str, Any], big: bool = False, short: bool = True) -> None:
    """UserError: a constructor refuses its options, or the model cannot fit into memory. Before data is read, so what the data decides
    (labels, the size of the vocabulary, the number of steps) is a stand-in. big: whether the model may be too big for this machine. short:
    whether the run may end within the warm-up."""
    with meta_device(), _refusal("model", config["model"]):
        model = nn.ModuleDict({"model": build(config["model"], spec=placeholder_spec(config))})  # a task needs what the data says
    if not big:
        check_memory(model, config)
    with _refusal("optimizer", config["optimizer"]):
        as_part(config["optimizer"])(model=model)
    trainer = try_trainer(config)
    steps = planned_steps(trainer, batches=10**9)
    try_schedule(config, steps, short)
    if decoding := config["task"].get("decoding"):
        with _refusal("task/decoding", decoding):
            build(decoding)


def try_trainer(config: Mapping[str, Any]) -> Any:
    """The trainer of a config, with its callbacks. UserError: they refuse their options."""
    for name, node in config["callbacks"].items():
        with _refusal(f"callbacks.{name}", node):
            build_callbacks({name: node}, folder=Path(), monitor="validation/loss", mode="min")
    with _refusal("trainer", config["trainer"]):
        return build(config["trainer"], callbacks=[], logger=[], plugins=[], default_root_dir=Path())


def try_schedule(config: Mapping[str, Any], steps: float, short: bool) -> None:
    """UserError: the schedule of a run of so many steps refuses its options, or the run would end within the warm-up. short: it may."""
    with _refusal("schedule", config["schedule"]):
        schedule = as_part(config["schedule"])(total=steps)
    if not short and getattr(schedule, "warmup", 0) >= steps:
        raise UserError(
            f"schedule.warmup={config['schedule']['warmup']} is not less than the {steps:,.0f} steps of the run: the learning rate would "
            "never reach optimizer.lr. schedule.warmup=0.1 is a tenth of the run, whatever its length"
        )


def try_task(config: Mapping[str, Any], prepared: "Prepared", processes: int, short: bool) -> None:
    """As `try_options`, with what the data says: the task itself, the limits of the trainer, and a schedule of as many steps as the run
    will have. processes: in which the run is trained."""
    with meta_device(), _refusal("task", config["task"]):
        task = build_task(config, prepared.spec, prepared.format)
    check_memory(task, config)
    batches = {split: len(prepared.loader(split, world_size=processes, seed=config["seed"])) for split in prepared.sizes}
    trainer = try_trainer(config)
    check_batches(trainer, batches)
    try_schedule(config, planned_steps(trainer, batches["train"]), short)


@contextmanager
def _refusal(group: str, node: Mapping[str, Any]) -> Iterator[None]:
    """A UserError of what a constructor refuses: torch, Lightning and parts of other packages raise these for a value."""
    try:
        yield
    except UserError:
        raise
    except (ValueError, TypeError, ArithmeticError, LookupError, ImportError, RuntimeError, MisconfigurationException) as error:
        said = " ".join(str(error).split())[:300]
        raise UserError(f"{group}={node['part'].partition('/')[2]} refuses its options: {said or type(error).__name__}") from error
