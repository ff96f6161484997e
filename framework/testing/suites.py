"""The promises as test classes: inherit one, say which part, and pytest holds it to all of them.

    class TestMine(AttentionPromises):
        part = "attention/mine"  # or Part(MineAttention, num_heads=2)

Nothing here imports pytest; it collects the subclasses by the methods' names.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import islice
from typing import Any, ClassVar

from framework import registry
from framework.data.formats import Row
from framework.registry import Part, broken
from framework.testing import parts, sources, tasks
from framework.testing.order import order_is_learned
from framework.testing.promise import BrokenPromise, Inapplicable
from framework.testing.toy_models import toy_model
from framework.testing.toy_task import FAMILIES, ToyTask


class PartPromises:
    """What every part of a model is held to, in every family of models.

    part: `KIND/NAME`, or a Part with values. families: those it is for. options: of the toy models (dim, num_heads, num_layers, ...).
    beside: slot -> the parts that it is tried with, one after the other, where its rules let it.
    """

    slot: ClassVar[str]
    part: ClassVar[Part | str]
    families: ClassVar[Sequence[str]] = FAMILIES
    options: ClassVar[dict[str, Any]] = {}
    beside: ClassVar[tuple[str, Sequence[str]]] = ("position", ("learned",))

    def models(self, seed: int = 0) -> Iterator[tuple[str, Any]]:
        """What to call it, and a fresh toy model with the part."""
        part = Part(self.part) if isinstance(self.part, str) else self.part
        slot, names = self.beside
        for name in names:
            other = Part(f"{slot}/{name}")
            if not (_refuses(part, other) or _refuses(other, part)):
                for family in self.families:
                    values: dict[str, Any] = {self.slot: part, slot: other, **self.options}
                    yield f"{family} with {slot}/{name}", toy_model(family, seed, **values)

    def hold(self, promise: Callable[[Any], None], models: Iterable[tuple[str, Any]] | None = None) -> None:
        """The promise, held to every model that it says something of."""
        applies, held = parts.PROMISES.get(promise, lambda traits: True), False
        for name, model in models or self.models():
            if applies(set(model.provides)):
                held = True
                try:
                    promise(model)
                except BrokenPromise as broken_promise:
                    raise BrokenPromise(f"{broken_promise} ({name})") from None
        if not held:
            raise Inapplicable(f"{promise.__name__} says nothing of {', '.join(self.families)}")

    def test_gradients_reach_every_parameter(self) -> None:
        self.hold(parts.gradients_reach_every_parameter)

    def test_rows_are_independent(self) -> None:
        self.hold(parts.rows_are_independent)

    def test_respects_padding(self) -> None:
        self.hold(parts.respects_padding)

    def test_cross_attention_respects_padding(self) -> None:
        self.hold(parts.cross_attention_respects_padding)

    def test_respects_causality(self) -> None:
        self.hold(parts.respects_causality)

    def test_documents_are_apart(self) -> None:
        self.hold(parts.documents_are_apart)

    def test_cache_equals_full_forward(self) -> None:
        self.hold(parts.cache_equals_full_forward)

    def test_cache_reorders(self) -> None:
        self.hold(parts.cache_reorders)

    def test_saves_and_loads(self) -> None:
        others = (other for _, other in self.models(seed=1))
        self.hold(lambda model: parts.saves_and_loads(model, next(others)))

    def test_learns_the_order_of_words(self) -> None:
        self.hold(order_is_learned, islice(self.models(), len(self.families)))  # it takes the longest: with one other part it is enough


class AttentionPromises(PartPromises):
    """An attention, with positions that are added, that turn, and that add a bias."""

    slot = "attention"
    beside = ("position", ("learned", "rotary", "alibi"))


class PositionPromises(PartPromises):
    """A position, with attention that has scores and attention that has none."""

    slot = "position"
    beside = ("attention", ("multi_head", "linear"))


class FeedForwardPromises(PartPromises):
    """A feed-forward network."""

    slot = "feed_forward"


class NormPromises(PartPromises):
    """A norm."""

    slot = "norm"


class BlockPromises(PartPromises):
    """A wiring of sublayers."""

    slot = "block"


class TaskPromises:
    """What every task is held to, with its own format and a few rows.

    task: `task/NAME`, or a Part. rows: None = the first built-in ones. model: None = a small one that its rules let pass.
    """

    task: ClassVar[Part | str]
    rows: ClassVar[Sequence[Row] | None] = None
    model: ClassVar[Part | None] = None

    @classmethod
    @cache
    def toy(cls) -> ToyTask:
        return ToyTask(cls.task, cls.rows, cls.model)

    def test_result_has_its_shape(self) -> None:
        tasks.result_has_its_shape(self.toy())

    def test_gradients_reach_every_parameter(self) -> None:
        tasks.gradients_reach_every_parameter(self.toy())

    def test_loss_is_a_sum(self) -> None:
        tasks.loss_is_a_sum(self.toy())

    def test_respects_padding(self) -> None:
        tasks.respects_padding(self.toy())

    def test_rows_are_independent(self) -> None:
        tasks.rows_are_independent(self.toy())

    def test_saves_and_loads(self) -> None:
        tasks.saves_and_loads(self.toy())

    def test_rows_are_plain(self) -> None:
        tasks.rows_are_plain(self.toy())

    def test_predicts_without_targets(self) -> None:
        tasks.predicts_without_targets(self.toy())

    def test_answers_any_text(self) -> None:
        tasks.answers_any_text(self.toy())

    def test_refuses_other_types(self) -> None:
        tasks.refuses_other_types(self.toy())

    def test_distillation_outputs_add_up(self) -> None:
        tasks.distillation_outputs_add_up(self.toy())

    def test_learns_its_rows(self) -> None:
        tasks.learns_its_rows(self.toy())

    def test_runs_in_two_processes(self) -> None:
        tasks.runs_in_two_processes(self.toy())


class SourcePromises:
    """What every source of rows (kind `data`) is held to.

    data: `data/NAME`, or a Part with values. format: whose rows it reads.
    """

    data: ClassVar[Part | str]
    format: ClassVar[Part | str]

    def source(self) -> Any:
        data, form = (Part(part) if isinstance(part, str) else part for part in (self.data, self.format))
        return data(format=form(), seed=0)

    def test_rows_come_again(self) -> None:
        sources.rows_come_again(self.source())

    def test_rows_suit_the_format(self) -> None:
        sources.rows_suit_the_format(self.source())

    def test_splits_are_apart(self) -> None:
        sources.splits_are_apart(self.source())

    def test_fingerprint_is_of_the_rows(self) -> None:
        sources.fingerprint_is_of_the_rows(self.source(), self.source())


def _refuses(part: Part, other: Part) -> bool:
    """Whether a rule of the part speaks against what the other provides."""
    values = {**registry.signature(part.cls).fields, **part.values, "provided": set(getattr(other.cls, "provides", ()))}
    about_others = {rule: reason for rule, reason in getattr(part.cls, "rules", {}).items() if "provided" in rule}
    return bool(broken(about_others, values))
