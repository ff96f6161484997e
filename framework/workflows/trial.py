"""A trial of a run's options: all that takes them is built once, on the meta device, before the run has a folder.

The rules of our own parts refuse most mistakes earlier, without torch. What is left are the options of Lightning and torch, and parts of
other packages that have no rules: what their constructors raise for a value is the user's mistake here, and would be a traceback later.
Lightning takes seconds to import, so trainer and callbacks are built only where a value is set that rules do not judge (trait `ruled`).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from framework import registry
from framework.config import catalogue as index
from framework.errors import UserError
from framework.registry import as_part, build
from framework.runs.build import build_task, placeholder_spec
from framework.training.groups import LayerRates
from framework.training.limits import Limits
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
    try_optimizer(config["optimizer"], model)
    try_schedule(config, try_trainer(config).planned_steps(batches=10**9), short)
    if decoding := config["task"].get("decoding"):
        with _refusal("task/decoding", decoding):
            build(decoding)


def try_optimizer(node: Mapping[str, Any], model: nn.Module) -> None:
    """UserError: the optimizer refuses its options, or the model on the meta device."""
    with _refusal("optimizer", node):
        if ruled(node) and issubclass(cls := registry.get(node["part"]), LayerRates):
            cls.check(model, **{key: value for key, value in node.items() if key != "part"})
        else:
            as_part(node)(model=model)


def try_trainer(config: Mapping[str, Any]) -> Limits:
    """The limits of a config's trainer. UserError: the trainer or a callback refuses its options."""
    for name, node in config["callbacks"].items():
        if not ruled(node):
            with _refusal(f"callbacks.{name}", node):
                build(node, folder=Path(), monitor="validation/loss", mode="min")
    node = config["trainer"]
    if ruled(node):
        return Limits.of_node(node)
    from pytorch_lightning.utilities.exceptions import MisconfigurationException

    with _refusal("trainer", node, MisconfigurationException):
        return Limits.of(build(node, callbacks=[], logger=[], plugins=[], default_root_dir=Path()))


def ruled(node: Mapping[str, Any]) -> bool:
    """Whether the constructor of a part takes the values of a config node for certain: they are its defaults, or rules judge them."""
    entry, part = index.load().option(node["part"]), node["part"]
    fields = entry["fields"]
    traits = {key: index.load().traits(part, key) for key in fields}
    return any("ruled" in each for each in traits.values()) and all(
        key in fields and (value == fields[key]["default"] or "ruled" in traits[key]) for key, value in node.items() if key != "part"
    )


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
    limits = try_trainer(config)
    limits.check(batches)
    try_schedule(config, limits.planned_steps(batches["train"]), short)


@contextmanager
def _refusal(group: str, node: Mapping[str, Any], *others: type[Exception]) -> Iterator[None]:
    """A UserError of what a constructor refuses: torch and parts of other packages raise these for a value. others: likewise."""
    refused: tuple[type[Exception], ...] = (ValueError, TypeError, ArithmeticError, LookupError, ImportError, RuntimeError, *others)
    try:
        yield
    except UserError:
        raise
    except refused as error:
        said = " ".join(str(error).split())[:300]
        raise UserError(f"{group}={node['part'].partition('/')[2]} refuses its options: {said or type(error).__name__}") from error
