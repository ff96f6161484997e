"""The contract tests (promises) as test classes: a subclass names the part, and pytest runs every test on it.

    class TestMine(AttentionPromises):
        part = "attention/mine"  # or Part(MineAttention, num_heads=2)

This module does not import pytest, which collects the subclasses by the names of their methods.
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


class Promises:
    """Base class: for each contract test in `promises` the class has a method `test_NAME`, which calls `run` with it."""

    promises: ClassVar[Iterable[Callable[[Any], None]]]
    run: Callable[..., None]

    def __init_subclass__(cls) -> None:
        for promise in vars(cls).get("promises", ()):
            setattr(cls, f"test_{promise.__name__}", lambda self, promise=promise: self.run(promise))


class PartPromises(Promises):
    """Contract tests of a part of a model, in every family of models.

    part: `KIND/NAME`, or a Part with values. families: families of models to test in. options: of the toy models (dim, num_heads, ...).
    combined_with: a slot and the parts to fill it with, one after the other, except those that rules refuse.
    """

    promises = parts.PROMISES
    slot: ClassVar[str]
    part: ClassVar[Part | str]
    families: ClassVar[Sequence[str]] = FAMILIES
    options: ClassVar[dict[str, Any]] = {}
    combined_with: ClassVar[tuple[str, Sequence[str]]] = ("position", ("learned",))

    def models(self, seed: int = 0) -> Iterator[tuple[str, Any]]:
        """Pairs of a description and a fresh toy model with the part."""
        part = Part(self.part) if isinstance(self.part, str) else self.part
        slot, names = self.combined_with
        for name in names:
            other = Part(f"{slot}/{name}")
            if not (_refuses(part, other) or _refuses(other, part)):
                for family in self.families:
                    values: dict[str, Any] = {self.slot: part, slot: other, **self.options}
                    yield f"{family} with {slot}/{name}", toy_model(family, seed, **values)

    def run(self, promise: Callable[[Any], None], models: Iterable[tuple[str, Any]] | None = None) -> None:
        """Run a contract test on every model that it applies to."""
        applies, ran = parts.PROMISES.get(promise, lambda traits: True), False
        for name, model in models or self.models():
            if applies(set(model.provides)):
                ran = True
                try:
                    promise(model)
                except BrokenPromise as broken_promise:
                    raise BrokenPromise(f"{broken_promise} ({name})") from None
        if not ran:
            raise Inapplicable(f"{promise.__name__} does not apply to {', '.join(self.families)}")

    def test_saves_and_loads(self) -> None:
        others = (other for _, other in self.models(seed=1))
        self.run(lambda model: parts.saves_and_loads(model, next(others)))

    def test_learns_the_order_of_words(self) -> None:
        self.run(order_is_learned, islice(self.models(), len(self.families)))  # slow: one combination is enough


class AttentionPromises(PartPromises):
    """Contract tests of an attention, with position embeddings, rotary embeddings and a position bias."""

    slot = "attention"
    combined_with = ("position", ("learned", "rotary", "alibi"))


class PositionPromises(PartPromises):
    """Contract tests of a position, with softmax and linear attention."""

    slot = "position"
    combined_with = ("attention", ("multi_head", "linear"))


class FeedForwardPromises(PartPromises):
    """Contract tests of a feed-forward network."""

    slot = "feed_forward"


class NormPromises(PartPromises):
    """Contract tests of a norm."""

    slot = "norm"


class BlockPromises(PartPromises):
    """Contract tests of a block."""

    slot = "block"


class TaskPromises(Promises):
    """Contract tests of a task, with its own format and a few rows.

    task: `task/NAME`, or a Part. rows: None = the first built-in ones. model: None = a small one that its rules let pass.
    """

    promises = tasks.TASK_PROMISES
    task: ClassVar[Part | str]
    rows: ClassVar[Sequence[Row] | None] = None
    model: ClassVar[Part | None] = None

    @classmethod
    @cache
    def toy(cls) -> ToyTask:
        return ToyTask(cls.task, cls.rows, cls.model)

    def run(self, promise: Callable[[ToyTask], None]) -> None:
        promise(self.toy())


class SourcePromises(Promises):
    """Contract tests of a source of rows (kind `data`).

    data: `data/NAME`, or a Part with values. format: the text format of its rows.
    """

    promises = (sources.rows_come_again, sources.rows_suit_the_format, sources.splits_are_apart)
    data: ClassVar[Part | str]
    format: ClassVar[Part | str]

    def source(self) -> Any:
        data, form = (Part(part) if isinstance(part, str) else part for part in (self.data, self.format))
        return data(format=form(), seed=0)

    def run(self, promise: Callable[[Any], None]) -> None:
        promise(self.source())

    def test_fingerprint_is_of_the_rows(self) -> None:
        sources.fingerprint_is_of_the_rows(self.source(), self.source())


def _refuses(part: Part, other: Part) -> bool:
    """Whether a rule of the part refuses a trait that the other provides."""
    values = {**registry.signature(part.cls).fields, **part.values, "provided": set(getattr(other.cls, "provides", ()))}
    about_others = {rule: reason for rule, reason in getattr(part.cls, "rules", {}).items() if "provided" in rule}
    return bool(broken(about_others, values))
