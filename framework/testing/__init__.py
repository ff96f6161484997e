"""Contract tests for parts of every kind, tasks and sources of rows, built in or in a package of yours (docs/extend.md).

A test class inherits the tests of its kind:

    class TestMine(AttentionPromises):  # or PositionPromises, TaskPromises, SourcePromises, ...
        part = "attention/mine"

As functions, `check(toy_model("decoder_only", attention=Part(Mine)))` and `check_task(ToyTask("task/mine"))` raise a BrokenPromise, whose
message begins with the name of the broken contract.
"""

from framework.testing.adapters import AdapterPromises
from framework.testing.batches import BatchesPromises
from framework.testing.callbacks import CallbackPromises
from framework.testing.decoding import DecodingPromises
from framework.testing.distillation import DistillationPromises
from framework.testing.families import FamilyPromises
from framework.testing.formats import FormatPromises
from framework.testing.optimizers import OptimizerPromises
from framework.testing.order import order_is_learned
from framework.testing.parts import (
    PROMISES,
    cache_equals_full_forward,
    cache_reorders,
    check,
    cross_attention_respects_padding,
    documents_are_apart,
    gradients_reach_every_parameter,
    respects_causality,
    respects_padding,
    rows_are_independent,
    saves_and_loads,
)
from framework.testing.promise import BrokenPromise, Inapplicable
from framework.testing.schedules import SchedulePromises
from framework.testing.suites import (
    AttentionPromises,
    BlockPromises,
    FeedForwardPromises,
    NormPromises,
    PartPromises,
    PositionPromises,
    SourcePromises,
    TaskPromises,
)
from framework.testing.tasks import TASK_PROMISES, check_task
from framework.testing.tokenizers import TokenizerPromises
from framework.testing.toy_models import import_parts, loss, texts, toy_model
from framework.testing.toy_task import ToyTask
from framework.testing.trackers import TrackerPromises
from framework.testing.trainers import TrainerPromises

__all__ = [
    "PROMISES",
    "TASK_PROMISES",
    "AdapterPromises",
    "AttentionPromises",
    "BatchesPromises",
    "BlockPromises",
    "BrokenPromise",
    "CallbackPromises",
    "DecodingPromises",
    "DistillationPromises",
    "FamilyPromises",
    "FeedForwardPromises",
    "FormatPromises",
    "Inapplicable",
    "NormPromises",
    "OptimizerPromises",
    "PartPromises",
    "PositionPromises",
    "SchedulePromises",
    "SourcePromises",
    "TaskPromises",
    "TokenizerPromises",
    "ToyTask",
    "TrackerPromises",
    "TrainerPromises",
    "cache_equals_full_forward",
    "cache_reorders",
    "check",
    "check_task",
    "cross_attention_respects_padding",
    "documents_are_apart",
    "gradients_reach_every_parameter",
    "import_parts",
    "loss",
    "order_is_learned",
    "respects_causality",
    "respects_padding",
    "rows_are_independent",
    "saves_and_loads",
    "texts",
    "toy_model",
]
