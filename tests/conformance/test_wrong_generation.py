"""Decoding strategies, adapters, distillation losses and families that are wrong on purpose: each is rejected by its promise."""

import dataclasses
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import kl_div, mse_loss

from framework.generation.sampling import Sampling
from framework.generation.strategy import Strategy
from framework.huggingface.families.bert import BertFamily
from framework.huggingface.family import OptionMap
from framework.huggingface.weight_map import WeightMap
from framework.parts.adapters import Adapter, LoraAdapter, LoraLinear
from framework.registry import Part
from framework.testing import AdapterPromises, DecodingPromises, DistillationPromises, FamilyPromises
from framework.training.distillation import Distillation
from tests.conformance.rejects import assert_accepted, assert_rejected


class Likeliest(Strategy):
    """Greedy decoding; nothing is wrong with this one."""

    def begin(self, prompts, end, limits):
        return lambda running, scores: (torch.arange(len(scores)), self.token(scores, running))

    def token(self, scores, running):
        return scores.argmax(-1)


class OfTheNextRow(Likeliest):
    def begin(self, prompts, end, limits):
        return lambda running, scores: (torch.arange(len(scores)), scores.argmax(-1).roll(1))


class KeepsOnePrompt(Likeliest):
    def begin(self, prompts, end, limits):
        return lambda running, scores: (torch.zeros(len(scores), dtype=torch.long), scores.argmax(-1)[:1].expand(len(scores)))


class TakesForbidden(Likeliest):
    def token(self, scores, running):
        return scores.nan_to_num(neginf=9.0).argmax(-1)


class BackwardsRows(Likeliest):
    def begin(self, prompts, end, limits):
        return lambda running, scores: (torch.arange(len(scores)).flip(0), scores.argmax(-1).flip(0))


class HasNoLimits(Likeliest):
    def __init__(self, max_new_tokens: int | None = None, min_new_tokens: int = 0):
        super().__init__(None, 0)


class Draws(Likeliest):
    def token(self, scores, running):
        return torch.multinomial(scores.exp(), 1)[:, 0]


class KeepsCounting(Likeliest):
    calls = 0

    def token(self, scores, running):
        self.calls += 1
        return scores.topk(2).indices[:, self.calls % 2]


class OfTheBatch(Likeliest):
    def token(self, scores, running):
        return (scores + 0.5 * scores.mean(0)).argmax(-1)


class ByPlace(Likeliest):
    def token(self, scores, running):
        return torch.stack([row.topk(3).indices[place % 3] for place, row in enumerate(scores)])


class Unlikeliest(Likeliest):
    def token(self, scores, running):
        return scores.argmin(-1)


class SecondBest(Likeliest):
    def token(self, scores, running):
        return scores.topk(2).indices[:, 1]


class Discounts(Strategy):
    """Scores of its own: those of the model halved."""

    def begin(self, prompts, end, limits):
        def choose(running, scores):
            scores.mul_(0.5)
            return torch.arange(len(scores)), scores.argmax(-1)

        return choose


class Lowers(Likeliest):
    """Changes the scores that it is given."""

    def token(self, scores, running):
        return scores.sub_(0.01).argmax(-1)


class DropsTheLastPrompt(Likeliest):
    def begin(self, prompts, end, limits):
        return lambda running, scores: (torch.arange(max(1, len(scores) - 1)), scores.argmax(-1)[: max(1, len(scores) - 1)])


class RanksNothing(Likeliest):
    def rank(self, hypotheses):
        return []


class GivesTheEndBack(Likeliest):
    def begin(self, prompts, end, limits):
        self.end = end
        return super().begin(prompts, end, limits)

    def rank(self, hypotheses):
        return [dataclasses.replace(one, ids=[*one.ids, self.end]) for one in hypotheses]


STRATEGIES = {
    "scores are those of the model": (Discounts, Lowers),
    "rows are independent": (OfTheBatch, ByPlace, OfTheNextRow),
    "ends at the end token": (DropsTheLastPrompt, RanksNothing, GivesTheEndBack),
    "keeps its limits": (TakesForbidden, BackwardsRows, HasNoLimits),
    "is the same twice": (Draws, KeepsCounting),
    "takes a certain token": (Unlikeliest, SecondBest, OfTheNextRow, KeepsOnePrompt),
}


def test_right_strategies_are_accepted():
    assert_accepted(DecodingPromises, Likeliest, greedy=True)
    assert_accepted(DecodingPromises, Part(Sampling, top_k=1), greedy=True)


@pytest.mark.parametrize(("promise", "wrong"), [(promise, wrong) for promise, all in STRATEGIES.items() for wrong in all])
def test_a_wrong_strategy_is_rejected(promise, wrong):
    assert_rejected(DecodingPromises, promise, wrong)


@pytest.mark.parametrize("wrong", [SecondBest, Part(Sampling, seed=4)])
def test_a_strategy_that_is_not_greedy_is_rejected(wrong):
    assert_rejected(DecodingPromises, "is greedy", wrong, greedy=True)


class Small(LoraAdapter):
    """LoRA of all linear maps; nothing is wrong with this one."""

    def __init__(self) -> None:
        super().__init__(rank=2, target_modules="*")


class BeginsAtRandom(Small):
    def attach(self, model):
        super().attach(model)
        for module in model.modules():
            if isinstance(module, LoraLinear):
                nn.init.normal_(module.lora_up)


class Halves(Small):
    def attach(self, model):
        super().attach(model)
        model.register_forward_hook(lambda module, inputs, output: output / 2 if torch.is_tensor(output) else output)


class Wraps(Small):
    def attach(self, model):
        super().attach(model)
        for name, module in list(model.named_modules()):
            if isinstance(module, LoraLinear):
                model.set_submodule(name, nn.Sequential(module))


class Rescales(Small):
    def attach(self, model):
        super().attach(model)
        with torch.no_grad():
            next(model.parameters()).mul_(1 + 1e-6)


class TrainsAll(Small):
    def attach(self, model):
        super().attach(model)
        model.requires_grad_(True)


class TrainsNothing(Small):
    def attach(self, model):
        super().attach(model)
        model.requires_grad_(False)


class HasAStrayParameter(Small):
    def attach(self, model):
        super().attach(model)
        model.stray = nn.Parameter(torch.ones(2, dtype=torch.float64))


class MergesHalf(Small):
    def merged(self, state):
        return {name: (value + state[name]) / 2 if name in state else value for name, value in super().merged(state).items()}


class MergesNothing(Small):
    def merged(self, state):
        return dict(state)


class MergesInPlace(Small):
    def merged(self, state):
        merged = super().merged(state)
        for name in merged:
            state[name].copy_(merged[name])
        return merged


class KeepsABuffer(Small):
    """Its scale is a buffer that training changes."""

    def attach(self, model):
        super().attach(model)
        model.register_buffer("scale", torch.ones((), dtype=torch.float64))

        def grow(module, inputs, output):
            if module.training:
                module.scale.add_(0.1)
            return output * module.scale if torch.is_tensor(output) else output

        for module in model.modules():
            if isinstance(module, LoraLinear):
                module.register_buffer("scale", torch.ones((), dtype=torch.float64))
                module.register_forward_hook(grow)


class DrawsFixedNumbers(Small):
    draws = 0

    def attach(self, model):
        super().attach(model)
        DrawsFixedNumbers.draws += 1
        generator = torch.Generator().manual_seed(DrawsFixedNumbers.draws)
        for module in model.modules():
            if isinstance(module, LoraLinear):
                nn.init.normal_(module.lora_down, generator=generator)
                module.lora_down.requires_grad_(False)


class HasAFile(Small):
    def __init__(self) -> None:
        super().__init__()
        self.weights = "adapter.safetensors"


class KnowsNoFile(Small):
    def attach(self, model):
        super().attach(model)
        self.weights = model


ADAPTERS = {
    "starts as the identity": (BeginsAtRandom, Halves),
    "keeps the weights of the model": (Wraps, Rescales),
    "trains its own parameters": (TrainsAll, TrainsNothing, HasAStrayParameter),
    "merges to equal outputs": (MergesHalf, MergesNothing, MergesInPlace),
    "saves and loads alone": (KeepsABuffer, DrawsFixedNumbers),
    "says what its file is": (HasAFile, KnowsNoFile),
}


def test_a_right_adapter_is_accepted():
    assert_accepted(AdapterPromises, Small)


@pytest.mark.parametrize(("promise", "wrong"), [(promise, wrong) for promise, all in ADAPTERS.items() for wrong in all])
def test_a_wrong_adapter_is_rejected(promise, wrong):
    assert issubclass(wrong, Adapter)
    assert_rejected(AdapterPromises, promise, wrong)


class Probabilities(Distillation):
    """KL of the teacher's probabilities; nothing is wrong with this one."""

    def __call__(self, student, batch, result):
        one, other = student.distillation_outputs(batch, result).logits, self.teacher_outputs(batch, student).logits
        return dataclasses.replace(result, loss=result.loss + self.compared(one, other))

    def compared(self, one, other):
        if one.shape != other.shape:
            from framework.errors import UserError

            raise UserError(f"the teacher has {other.shape[-1]} classes and this task {one.shape[-1]}")
        return kl_div(one.float().log_softmax(-1).double(), other.float().log_softmax(-1).double(), reduction="sum", log_target=True)


def compares(loss):
    return type("Compares", (Probabilities,), {"compared": lambda self, one, other: loss(one, other)})


class Averages(Probabilities):
    def compared(self, one, other):
        return super().compared(one, other) / max(1, len(one))


class CountsOne(Probabilities):
    def __call__(self, student, batch, result):
        return dataclasses.replace(super().__call__(student, batch, result), weight=torch.tensor(1))


class TrainsTheTeacher(Probabilities):
    def teacher_outputs(self, batch, student):
        return self.teacher.requires_grad_(True)(batch).output


class LeavesItInTraining(Probabilities):
    def teacher_outputs(self, batch, student):
        with torch.no_grad():
            return self.teacher.train()(batch).output


class MakesItAModule(Probabilities):
    def __call__(self, student, batch, result):
        student.teacher_task = self.teacher
        return super().__call__(student, batch, result)


class Averaged(Probabilities):
    """The teacher follows the student."""

    def __call__(self, student, batch, result):
        with torch.no_grad():
            for own, other in zip(self.teacher.parameters(), student.parameters(), strict=True):
                own.lerp_(other, 0.1)
        return super().__call__(student, batch, result)


class Detached(Probabilities):
    def compared(self, one, other):
        return super().compared(one.detach(), other)


DISTILLATIONS = {
    "is a sum over targets": (Averages, CountsOne, compares(lambda one, other: (one - other).norm())),
    "teacher has no gradient": (TrainsTheTeacher, LeavesItInTraining, MakesItAModule, Averaged),
    "equal outputs are the minimum": (
        compares(lambda one, other: -(one.softmax(-1) * other.softmax(-1)).sum()),
        compares(lambda one, other: mse_loss(one, 2 * other, reduction="sum")),
    ),
    "the student learns": (Detached, compares(lambda one, other: -mse_loss(one, other, reduction="sum"))),
    "stays finite": (
        compares(lambda one, other: (other.softmax(-1) * (other.softmax(-1).log() - one.softmax(-1).log())).sum()),
        compares(lambda one, other: one.exp().sub(other.exp()).square().sum()),
    ),
    "refuses other classes": (
        compares(lambda one, other: mse_loss(one[..., :2], other[..., :2], reduction="sum")),
        compares(lambda one, other: (one - other).square().sum()),
    ),
}


def test_a_right_distillation_is_accepted():
    assert_accepted(DistillationPromises, Probabilities)


@pytest.mark.parametrize(("promise", "wrong"), [(promise, wrong) for promise, all in DISTILLATIONS.items() for wrong in all])
def test_a_wrong_distillation_is_rejected(promise, wrong):
    assert_rejected(DistillationPromises, promise, wrong)


BERT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 40, "max_position_embeddings": 32}


class Mine(BertFamily):
    """BERT under another name; nothing is wrong with this one."""

    model_type = "mine"


class MatchesNothing(Mine):
    def matches(self, config):
        return False


class IsBert(Mine):
    model_type = "bert"


def options(change):
    return type("Options", (Mine,), {"options": tuple(change(option) for option in Mine.options)})


class ForgetsASize(Mine):
    def to_hf(self, node, spec):
        return {key: value for key, value in super().to_hf(node, spec).items() if key != "intermediate_size"}


class RefusesItsOwn(Mine):
    def to_hf(self, node, spec):
        return super().to_hf({**node, "feed_forward": {**node["feed_forward"], "activation": "silu"}}, spec)


class WritesAnotherSize(Mine):
    def to_hf(self, node, spec):
        return {**super().to_hf(node, spec), "num_hidden_layers": 3}


def weights(*changes: Any):
    return type("Weights", (Mine,), {"weights": tuple(change for change in changes)})


def transposed(weight):
    return dataclasses.replace(weight, layout="transposed")


class HasNoClass(Mine):
    base_architecture = ""


class SharesAClass(Mine):
    task_heads = {task: dataclasses.replace(head, architecture="BertForMaskedLM") for task, head in Mine.task_heads.items()}


class TakesAnyConstant(Mine):
    def from_hf(self, config, weight_names):
        return super().from_hf({**config, **self.constants}, weight_names)


class AssumesASize(Mine):
    def from_hf(self, config, weight_names):
        return super().from_hf({"num_hidden_layers": 2, **config}, weight_names)


class SwapsQueries(Mine):
    """Queries are read as keys."""

    def weight_table(self, hf_task=None, prefixed=None, node=None):
        table = super().weight_table(hf_task, prefixed, node)
        read = table.from_hf

        def swapped(names):
            slices, unexpected = read(names)
            return {
                name.replace("query", "KEY").replace("key", "query").replace("KEY", "key"): one for name, one in slices.items()
            }, unexpected

        table.from_hf = swapped  # type: ignore[method-assign]
        return table


FAMILIES = {
    "is found by its config": (MatchesNothing, IsBert),
    "reads what it writes": (ForgetsASize, RefusesItsOwn, WritesAnotherSize),
    "names every weight": (
        weights(*Mine.weights[1:]),
        weights(*Mine.weights, WeightMap("encoder.layers.#.feed_forward.output.*", "embeddings.LayerNorm.*")),
        SwapsQueries,
    ),
    "its folder is opened": (SwapsQueries, MatchesNothing),
    "has a class for each task": (HasNoClass, SharesAClass),
    "refuses what it does not compute": (TakesAnyConstant, AssumesASize),
}


def test_a_right_family_is_accepted(monkeypatch):
    registered(monkeypatch, Mine)
    assert_accepted(FamilyPromises, Mine, config=BERT)


@pytest.mark.parametrize(("promise", "wrong"), [(promise, wrong) for promise, all in FAMILIES.items() for wrong in all])
def test_a_wrong_family_is_rejected(promise, wrong, monkeypatch):
    assert OptionMap
    registered(monkeypatch, wrong)
    assert_rejected(FamilyPromises, promise, wrong, config=BERT)


def registered(monkeypatch, family):
    """The family among the registered ones."""
    from framework import registry
    from framework.config import catalogue as index

    catalogue = index.load()
    entries = {**catalogue.options["family"], "mine": catalogue.options["family"]["bert"]}
    monkeypatch.setitem(catalogue.options, "family", entries)
    monkeypatch.setitem(registry._classes.setdefault("family", {}), "mine", family)
    monkeypatch.setitem(registry._registrars, family, "framework.testing")
