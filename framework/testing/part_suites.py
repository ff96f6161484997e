"""The contract tests of parts of a model as test classes: a subclass names the part, and pytest runs every test on it.

    class TestMine(AttentionPromises):
        part = "attention/mine"  # or Part(MineAttention, num_heads=2)

This module does not import pytest, which collects the subclasses by the names of their methods.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, NamedTuple

import torch

from framework.errors import UserError
from framework.registry import Part, describe
from framework.testing import effects, execution, initial_weights, kinds, parts, state
from framework.testing.order import order_is_learned
from framework.testing.promise import BrokenPromise, Inapplicable, Promises
from framework.testing.toy_models import build_toy, forward, texts
from framework.testing.toy_part import ToyPart, families_with

Promise = Callable[[Any], None]


class Toys(NamedTuple):
    """The combinations in which a part is tested, what rules refuse (name -> reason), and what fails otherwise (name -> error)."""

    legal: list[ToyPart]
    refused: dict[str, str]
    failed: dict[str, Exception]


def saves_and_loads(toy: ToyPart) -> None:
    """Another model of the same parts gives the same outputs once it has loaded the saved weights."""
    parts.saves_and_loads(toy.model(), toy.model(seed=1))


def learns_the_order_of_words(toy: ToyPart) -> None:
    """A short training teaches the model to classify texts by the order of two words."""
    order_is_learned(build_toy(toy.node).double())


# Of these one family tells as much as all.
OF_COMBINATIONS: Sequence[Promise] = (
    state.keeps_nothing_between_calls,
    state.evaluation_is_deterministic,
    state.leaves_its_inputs_unchanged,
    execution.runs_in_float32,
    execution.runs_under_autocast,
    initial_weights.initialization_is_kept,
    saves_and_loads,
)
OF_MODELS: Sequence[Promise] = (
    *parts.PROMISES,
    effects.position_has_an_effect,
    state.keeps_nothing_between_calls,
    kinds.hidden_states_have_their_shape,
)


class PartPromises(Promises):
    """Contract tests of a part of a model, in every family of models and beside other parts, except where rules refuse it.

    slot: what the part fills, of the model or its stacks. part: `KIND/NAME`, or a Part with values. families: families of models to test
    in; () = all that have the slot. options: of the toy models (dim, num_heads, ...). combinations: slot -> name of an option, one mapping
    for each combination; `window` is the window of the stacks.

    Another kind of part has a subclass with `promises`: functions of a ToyPart that raise BrokenPromise, or Inapplicable.
    """

    promises = (*parts.PROMISES, effects.position_has_an_effect, *OF_COMBINATIONS)
    slot: ClassVar[str]
    part: ClassVar[Part | str]
    families: ClassVar[Sequence[str]] = ()
    options: ClassVar[dict[str, Any]] = {}
    combinations: ClassVar[Sequence[Mapping[str, Any]]] = ({"position": "learned"},)

    @classmethod
    @cache
    def toys(cls) -> Toys:
        """Every combination, built and called once."""
        toys = Toys([], {}, {})
        try:
            candidates = cls.candidates() if cls._part().cls else []
        except UserError as error:  # there is no such part, or no such option
            return Toys([], {}, {str(cls.part): error})
        for toy in candidates:
            try:
                if reasons := toy.refusals():
                    toys.refused[toy.name] = reasons[0]
                    continue
                with torch.no_grad():
                    forward(toy.model(), texts(4)[0][None], texts(4)[0][None])
                toys.legal.append(toy)
            except UserError as error:
                toys.refused[toy.name] = str(error)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with the part, one test says so
                toys.failed[toy.name] = error
        return toys

    @classmethod
    def candidates(cls) -> list[ToyPart]:
        """Every combination, legal or not."""
        part = cls._part()
        slot, families = cls.place(part)
        candidates = []
        for values in cls.combinations:
            beside = {slot: Part(f"{slot}/{name}") for slot, name in values.items() if slot != "window"}
            candidates += [ToyPart(slot, part, family, beside, values.get("window"), cls.options) for family in families]
        return candidates

    @classmethod
    def _part(cls) -> Part:
        return cls.part if isinstance(cls.part, Part) else Part(cls.part)

    @classmethod
    def place(cls, part: Part) -> tuple[str, Sequence[str]]:
        """The slot of the part, and the families to test it in."""
        return cls.slot, cls.families or families_with(cls.slot)

    def run(self, promise: Promise, toys: Iterable[ToyPart] | None = None) -> None:
        """Run a contract test. toys: None = every combination that it applies to."""
        name, applies = promise.__name__.replace("_", " "), parts.PROMISES.get(promise, lambda traits: True)
        toys = toys or (self.largest() if promise in OF_COMBINATIONS else self.toys().legal)
        reason, ran = f"{name} does not apply to {', '.join(self.families) or 'this part'}", False
        if not self.toys().legal:
            reason = "no family is left: see test_runs_in_every_family"
        for toy in toys:
            if not applies(toy.traits):
                continue
            try:
                promise(toy.model() if promise in OF_MODELS else toy)
                ran = True
            except Inapplicable as inapplicable:
                reason = str(inapplicable)
            except BrokenPromise as broken_promise:
                raise BrokenPromise(f"{broken_promise} ({toy.name})") from None
            except Exception as error:
                raise BrokenPromise(f"{name}: {type(error).__name__}: {error} ({toy.name})") from error
        if not ran:
            raise Inapplicable(reason)

    @classmethod
    def largest(cls) -> list[ToyPart]:
        """Every combination in one family: the last legal one, which is the encoder-decoder if there is no rule against it."""
        return list({toy.beside_names: toy for toy in cls.toys().legal}.values())

    def test_runs_in_every_family(self) -> None:
        """Fails where a model with the part cannot be built or called; skipped where a rule refuses a family, or named where it is all."""
        legal, refused, failed = self.toys()
        for name, error in failed.items():
            raise BrokenPromise(f"runs in every family: {type(error).__name__}: {error} ({name}, in float64)") from error
        tested = [family for family in self.place(self._part())[1] if any(toy.family == family for toy in legal)]
        reasons = {toy.family: refused[toy.name] for toy in reversed(self.candidates()) if toy.family not in tested}
        missing = "; ".join(f"{family}: {reason}" for family, reason in reversed(reasons.items()))
        if not tested:
            raise BrokenPromise(f"runs in every family: the rules leave none: {missing}")
        if missing:
            raise Inapplicable(f"tested in {', '.join(tested)}, which the rules leave; not in {missing}")

    def test_runs_compiled(self) -> None:
        self.run(execution.runs_compiled, self.largest()[:1])  # slow: one combination is enough

    def test_runs_on_the_meta_device(self) -> None:
        self.run(execution.runs_on_the_meta_device, self.largest()[-2:])  # slow: the last two have what the others have

    def test_learns_the_order_of_words(self) -> None:
        self.run(learns_the_order_of_words, self.toys().legal[: len({toy.family for toy in self.toys().legal})])


class AttentionPromises(PartPromises):
    """Contract tests of an attention, with position embeddings, a rotary embedding, a position bias and a window."""

    promises = (effects.window_has_an_effect, effects.rotary_embedding_is_applied, effects.bias_is_added_to_the_scores)
    slot = "attention"
    combinations = (
        {"position": "learned"},
        {"position": "rotary"},
        {"position": "alibi"},
        {"position": "rotary", "window": 3},
    )


class PositionPromises(PartPromises):
    """Contract tests of a position, with softmax and linear attention."""

    promises = (kinds.positions_are_explicit, kinds.declares_its_traits)
    slot = "position"
    combinations = ({"attention": "multi_head"}, {"attention": "linear"})


class FeedForwardPromises(PartPromises):
    """Contract tests of a feed-forward network."""

    promises = (kinds.tokens_are_independent, kinds.zeros_stay_finite)
    slot = "feed_forward"


class NormPromises(PartPromises):
    """Contract tests of a norm."""

    promises = (kinds.tokens_are_independent, kinds.zeros_stay_finite)
    slot = "norm"


class BlockPromises(PartPromises):
    """Contract tests of a block."""

    promises = (kinds.calls_every_sublayer,)
    slot = "block"


class StackPromises(PartPromises):
    """Contract tests of a stack of layers: an encoder or a decoder, as its `causal` says."""

    promises = (effects.window_has_an_effect, kinds.hidden_states_have_their_shape)
    combinations = ({"position": "learned"}, {"position": "rotary"}, {"position": "alibi"}, {"position": "rotary", "window": 3})

    @classmethod
    def place(cls, part: Part) -> tuple[str, Sequence[str]]:
        slot = "decoder" if getattr(part.cls, "causal", False) else "encoder"
        return slot, cls.families or families_with(slot)


class ModelPromises(PartPromises):
    """Contract tests of a model."""

    promises = (effects.window_has_an_effect, kinds.hidden_states_have_their_shape, kinds.initial_std_has_an_effect)
    slot = "model"
    combinations = StackPromises.combinations

    @classmethod
    def place(cls, part: Part) -> tuple[str, Sequence[str]]:
        return cls.slot, (describe(part.cls),)
