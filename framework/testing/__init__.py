"""Contract tests for parts of every kind, tasks and sources of rows, built in or in a package of yours (docs/extend.md).

A test class inherits the tests of its kind:

    class TestMine(AttentionPromises):  # or PositionPromises, TaskPromises, SourcePromises, ...
        part = "attention/mine"

As functions, `check(toy_model("decoder_only", attention=Part(Mine)))` and `check_task(ToyTask("task/mine"))` raise a BrokenPromise, whose
message begins with the name of the broken contract.
"""

from framework.testing.adapters import AdapterPromises as AdapterPromises
from framework.testing.batches import BatchesPromises as BatchesPromises
from framework.testing.callbacks import CallbackPromises as CallbackPromises
from framework.testing.decoding import DecodingPromises as DecodingPromises
from framework.testing.distillation import DistillationPromises as DistillationPromises
from framework.testing.families import FamilyPromises as FamilyPromises
from framework.testing.formats import FormatPromises as FormatPromises
from framework.testing.optimizers import OptimizerPromises as OptimizerPromises
from framework.testing.order import order_is_learned as order_is_learned
from framework.testing.part_suites import AttentionPromises as AttentionPromises
from framework.testing.part_suites import BlockPromises as BlockPromises
from framework.testing.part_suites import FeedForwardPromises as FeedForwardPromises
from framework.testing.part_suites import ModelPromises as ModelPromises
from framework.testing.part_suites import NormPromises as NormPromises
from framework.testing.part_suites import PartPromises as PartPromises
from framework.testing.part_suites import PositionPromises as PositionPromises
from framework.testing.part_suites import StackPromises as StackPromises
from framework.testing.parts import cache_equals_full_forward as cache_equals_full_forward
from framework.testing.parts import cache_reorders as cache_reorders
from framework.testing.parts import check as check
from framework.testing.parts import cross_attention_respects_padding as cross_attention_respects_padding
from framework.testing.parts import documents_are_apart as documents_are_apart
from framework.testing.parts import gradients_reach_every_parameter as gradients_reach_every_parameter
from framework.testing.parts import respects_causality as respects_causality
from framework.testing.parts import respects_padding as respects_padding
from framework.testing.parts import rows_are_independent as rows_are_independent
from framework.testing.parts import saves_and_loads as saves_and_loads
from framework.testing.promise import BrokenPromise as BrokenPromise
from framework.testing.promise import Inapplicable as Inapplicable
from framework.testing.schedules import SchedulePromises as SchedulePromises
from framework.testing.suites import SourcePromises as SourcePromises
from framework.testing.suites import TaskPromises as TaskPromises
from framework.testing.tasks import check_task as check_task
from framework.testing.tokenizers import TokenizerPromises as TokenizerPromises
from framework.testing.toy_models import loss as loss
from framework.testing.toy_models import texts as texts
from framework.testing.toy_models import toy_model as toy_model
from framework.testing.toy_task import ToyTask as ToyTask
from framework.testing.trackers import TrackerPromises as TrackerPromises
from framework.testing.trainers import TrainerPromises as TrainerPromises
