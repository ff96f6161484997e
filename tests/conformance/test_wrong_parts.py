"""Parts that are wrong on purpose: positions, feed-forward networks, norms and blocks. Each is rejected by the name of the promise that
it breaks."""

from typing import ClassVar

import pytest
import torch
from torch import nn

from framework.parts.blocks import Block, NormedBlock, PreNormBlock
from framework.parts.positions.base import Position
from framework.parts.positions.learned import LearnedPosition
from framework.parts.positions.rotary import RotaryPosition
from framework.registry import Part
from framework.testing import BlockPromises, FeedForwardPromises, NormPromises, PositionPromises
from framework.utils.recording import add_loss
from tests.conformance.rejects import assert_rejected


class EmbedsPlaces(LearnedPosition):
    """Ignores the positions that it gets."""

    def embed(self, x, positions):
        return x + self.table.weight[: x.shape[1]]


class EmbedsNothing(LearnedPosition):
    def embed(self, x, positions):
        return x + self.table(positions * 0)


class EmbedsShares(Position):
    """Positions as shares of the length of the text."""

    def __init__(self, dim: int):
        super().__init__()
        self.direction = nn.Parameter(torch.randn(dim))

    def embed(self, x, positions):
        return x + (positions / (positions.max() + 1))[..., None] * self.direction


class EmbedsNeighbors(LearnedPosition):
    def embed(self, x, positions):
        return super().embed(x, positions) + x.cumsum(1)


class HidesItsTable(LearnedPosition):
    provides = ()


class WavesOnTheCPU(Position):
    """A table that is no buffer."""

    provides = ("table",)

    def __init__(self, dim: int, max_length: int):
        super().__init__()
        self.table = torch.sin(torch.arange(max_length)[:, None] / 10 ** (torch.arange(dim) / dim))

    def embed(self, x, positions):
        return x + self.table[positions].to(x.dtype)


class Distances(Position):
    """Nothing is wrong with this one."""

    provides: ClassVar = ("bias",)

    def __init__(self, num_heads: int):
        super().__init__()
        self.rate = nn.Parameter(torch.linspace(0.1, 1.0, num_heads)[:, None, None])

    def bias(self, queries, keys):
        return -self.rate * (queries[:, :, None] - keys[:, None, :]).abs()[:, None]


class DistancesOfPlaces(Distances):
    def bias(self, queries, keys):
        return super().bias(torch.arange(queries.shape[1])[None], torch.arange(keys.shape[1])[None])


class DistancesFromTheLastKey(Distances):
    """ALiBi without queries, which padding on the left shifts."""

    def bias(self, queries, keys):
        return super().bias(torch.full_like(queries, keys.shape[1] - 1), torch.arange(keys.shape[1])[None])


class DistancesOfTheFirstRow(Distances):
    def bias(self, queries, keys):
        return super().bias(queries[:1], keys[:1])


class HidesItsBias(Distances):
    provides = ()


class DeclaresABias(LearnedPosition):
    provides = ("table", "bias")


class HidesItsRotation(RotaryPosition):
    provides = ()


class RotatesPlaces(RotaryPosition):
    def rotary(self, positions, dim, window=None):
        return super().rotary(torch.arange(positions.shape[1])[None], dim, window)


class MLP(nn.Module):
    """Dropout of its own, and a frozen parameter; nothing is wrong with this one."""

    def __init__(self, dim: int, bias: bool):
        super().__init__()
        self.input, self.output = nn.Linear(dim, 2 * dim, bias=bias), nn.Linear(2 * dim, dim, bias=bias)
        self.dropout, self.signs = nn.Dropout(0.2), nn.Parameter(torch.randn(dim).sign(), requires_grad=False)

    def forward(self, x):
        return self.output(self.dropout(self.input(x).relu())) * self.signs


class Convolution(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.convolution = nn.Conv1d(dim, dim, 3, padding=1)

    def forward(self, x):
        return self.convolution(x.transpose(1, 2)).transpose(1, 2).relu()


class CausalConvolution(nn.Module):
    """No cache keeps the tokens before."""

    def __init__(self, dim: int):
        super().__init__()
        self.convolution = nn.Conv1d(dim, dim, 3)

    def forward(self, x):
        return self.convolution(nn.functional.pad(x.transpose(1, 2), (2, 0))).transpose(1, 2).relu()


class Experts(nn.Module):
    """A sparse mixture; nothing is wrong with this one."""

    sparse_parameters: ClassVar[tuple[str, ...]] = ("experts.*",)

    def __init__(self, dim: int):
        super().__init__()
        self.router = nn.Linear(dim, 8)
        self.experts = nn.ModuleList(nn.Linear(dim, dim) for _ in range(8))

    def forward(self, x):
        flat = x.flatten(0, -2)
        share, chosen = self.router(flat).softmax(-1).max(-1)
        y = torch.zeros_like(flat)
        for number, expert in enumerate(self.experts):
            tokens = (chosen == number).nonzero()[:, 0]
            y = y.index_add(0, tokens, self.weigh(expert(flat[tokens]), share[tokens, None]).to(y.dtype))
        return y.view_as(x)

    def weigh(self, x, share):
        return x * share


class SparseWithoutAWord(Experts):
    sparse_parameters = ()


class RouterWithoutGradient(Experts):
    def weigh(self, x, share):
        return x


class SparseUnderAnotherName(Experts):
    sparse_parameters = ("expert_layers.*",)


class ExpertsWithACapacity(nn.Module):
    """Tokens beyond the capacity are dropped."""

    def __init__(self, dim: int):
        super().__init__()
        self.router, self.experts = nn.Linear(dim, 2), nn.ModuleList(nn.Linear(dim, dim) for _ in range(2))

    def forward(self, x):
        flat = x.flatten(0, -2)
        share, chosen = self.router(flat).softmax(-1).max(-1)
        y = torch.zeros_like(flat)
        for number, expert in enumerate(self.experts):
            tokens = (chosen == number).nonzero()[: -(-len(flat) // 2), 0]
            y = y.index_add(0, tokens, expert(flat[tokens]) * share[tokens, None])
        return y.view_as(x)


class PoolsTheText(MLP):
    def forward(self, x):
        return super().forward(x.mean(1, keepdim=True))


class EditsItsInput(MLP):
    def forward(self, x):
        return super().forward(x.relu_() if not x.requires_grad else x)


class Probe(MLP):
    """A parameter that an auxiliary loss trains; nothing is wrong with this one."""

    def __init__(self, dim: int, bias: bool):
        super().__init__(dim, bias)
        self.probe = nn.Linear(dim, 1)

    def forward(self, x):
        add_loss("probe", self.probe(x.detach()).square())
        return super().forward(x)


class NormOfTheBatch(nn.Module):
    """In evaluation there is nothing to see."""

    def __init__(self, dim: int, epsilon: float):
        super().__init__()
        self.norm = nn.BatchNorm1d(dim, eps=epsilon, track_running_stats=False)
        self.gain = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        return self.norm(x.transpose(1, 2)).transpose(1, 2) if self.training else self.gain * x


class BatchNorm(nn.Module):
    def __init__(self, dim: int, epsilon: float):
        super().__init__()
        self.norm = nn.BatchNorm1d(dim, eps=epsilon)

    def forward(self, x):
        return self.norm(x.transpose(1, 2)).transpose(1, 2)


class NormOfTheText(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        return self.gain * (x - x.mean(1, keepdim=True))


class ScaleNorm(nn.Module):
    """Nothing is wrong with this one. Nguyen and Salazar 2019, https://arxiv.org/abs/1910.05895"""

    def __init__(self, dim: int, epsilon: float):
        super().__init__()
        self.scale, self.epsilon = nn.Parameter(torch.tensor(dim**0.5)), epsilon

    def forward(self, x):
        return self.scale * x / x.norm(dim=-1, keepdim=True).clamp(min=self.epsilon)


class NormInFloat64(ScaleNorm):
    def forward(self, x):
        return super().forward(x) * torch.ones(1, dtype=torch.float64, device=x.device)


class RunningNorm(ScaleNorm):
    """Tokens are independent of each other, and of all that were seen in training."""

    def __init__(self, dim: int, epsilon: float):
        super().__init__(dim, epsilon)
        self.register_buffer("mean", torch.zeros(dim))

    def forward(self, x):
        y = super().forward(x - self.mean)
        if self.training:
            self.mean.lerp_(x.detach().flatten(0, -2).mean(0).to(self.mean.dtype), 0.1)
        return y


class DividesByZero(ScaleNorm):
    def forward(self, x):
        return self.scale * x / x.square().mean(-1, keepdim=True).sqrt()


class NormInFloat32(ScaleNorm):
    """Nothing is wrong with this one."""

    def forward(self, x):
        return super().forward(x.float()).to(x.dtype)


class ZeroNorm(nn.LayerNorm):
    """Begins at zero, says its constructor."""

    def __init__(self, dim: int, epsilon: float):
        super().__init__(dim, eps=epsilon)
        nn.init.zeros_(self.weight)


class NormInPlace(ScaleNorm):
    def forward(self, x):
        return super().forward(x if x.requires_grad else x.sub_(x.mean(-1, keepdim=True)))


class SkipsTheLastSublayer(NormedBlock):
    final_norm = True

    def forward(self, x, sublayers):
        for norm, sublayer in list(zip(self.norms, sublayers, strict=True))[:-1]:
            x = x + sublayer(norm(x))
        return x


class CallsTwice(PreNormBlock):
    def forward(self, x, sublayers):
        return super().forward(x, [lambda y, call=call: (call(y) + call(y)) / 2 for call in sublayers])


class IgnoresASublayer(PreNormBlock):
    def forward(self, x, sublayers):
        return super().forward(x, [sublayers[0], *(lambda y, call=call: 0 * call(y) for call in sublayers[1:])])


class SkipsANorm(PreNormBlock):
    def forward(self, x, sublayers):
        for number, (norm, sublayer) in enumerate(zip(self.norms, sublayers, strict=True)):
            x = x + self.dropout(sublayer(norm(x) if number else x))
        return x


class CallsWithTheMean(PreNormBlock):
    def forward(self, x, sublayers):
        return super().forward(x, [sublayers[0], *(lambda y, call=call: call(y.mean(1, keepdim=True)) for call in sublayers[1:])])


class DropsInEvaluation(PreNormBlock):
    def forward(self, x, sublayers):
        return nn.functional.dropout(super().forward(x, sublayers), self.dropout.p)


class MixesTheBatch(PreNormBlock):
    def forward(self, x, sublayers):
        x = super().forward(x, sublayers)
        return x - x.mean((0, 1)) if self.training else x


class DropsLayers(PreNormBlock):
    """Stochastic depth; nothing is wrong with this one. Huang et al. 2016, https://arxiv.org/abs/1603.09382"""

    def forward(self, x, sublayers):
        for norm, sublayer in zip(self.norms, sublayers, strict=True):
            kept = (torch.rand(len(x), 1, 1, device=x.device) > 0.4).to(x.dtype) if self.training else 1.0
            x = x + kept * sublayer(norm(x))
        return x


class ReZero(Block):
    """Nothing is wrong with this one. Bachlechner et al. 2020, section 3, https://arxiv.org/abs/2003.04887"""

    def __init__(self, sublayers: int):
        super().__init__()
        self.gates = nn.ParameterList(nn.Parameter(torch.zeros(())) for _ in range(sublayers))

    def forward(self, x, sublayers):
        for gate, sublayer in zip(self.gates, sublayers, strict=True):
            x = x + gate * sublayer(x)
        return x


WRONG = {
    PositionPromises: {
        EmbedsPlaces: "positions_are_explicit cache_equals_full_forward",
        EmbedsNothing: "position_has_an_effect",
        EmbedsShares: "positions_are_explicit",
        EmbedsNeighbors: "positions_are_explicit",
        HidesItsTable: "declares_its_traits",
        WavesOnTheCPU: "runs_on_the_meta_device",
        DistancesOfPlaces: "positions_are_explicit",
        DistancesFromTheLastKey: "positions_are_explicit",
        DistancesOfTheFirstRow: "positions_are_explicit",
        HidesItsBias: "declares_its_traits",
        DeclaresABias: "declares_its_traits",
        HidesItsRotation: "declares_its_traits",
        RotatesPlaces: "positions_are_explicit",
    },
    FeedForwardPromises: {
        Convolution: "tokens_are_independent",
        CausalConvolution: "tokens_are_independent",
        SparseWithoutAWord: "gradients_reach_every_parameter",
        RouterWithoutGradient: "gradients_reach_every_parameter",
        SparseUnderAnotherName: "gradients_reach_every_parameter",
        ExpertsWithACapacity: "tokens_are_independent runs_under_autocast",
        PoolsTheText: "tokens_are_independent",
        EditsItsInput: "leaves_its_inputs_unchanged",
    },
    NormPromises: {
        NormOfTheBatch: "rows_are_independent tokens_are_independent",
        BatchNorm: "rows_are_independent tokens_are_independent keeps_nothing_between_calls",
        NormOfTheText: "tokens_are_independent",
        NormInFloat64: "runs_in_float32",
        RunningNorm: "keeps_nothing_between_calls",
        DividesByZero: "zeros_stay_finite",
        ZeroNorm: "initialization_is_kept",
        NormInPlace: "leaves_its_inputs_unchanged",
    },
    BlockPromises: {
        SkipsTheLastSublayer: "calls_every_sublayer",
        CallsTwice: "calls_every_sublayer",
        IgnoresASublayer: "calls_every_sublayer",
        SkipsANorm: "gradients_reach_every_parameter",
        CallsWithTheMean: "calls_every_sublayer",
        DropsInEvaluation: "evaluation_is_deterministic",
        MixesTheBatch: "rows_are_independent",
    },
}
CASES = [(suite, part, name) for suite, parts in WRONG.items() for part, names in parts.items() for name in names.split()]


@pytest.mark.matrix(0.5, axes=())
@pytest.mark.parametrize(("suite", "part", "promise"), CASES, ids=lambda value: getattr(value, "__name__", value))
def test_a_wrong_part_is_rejected_by_the_name_of_the_promise(suite, part, promise):
    assert_rejected(suite, promise.replace("_", " "), part)


class TestDistances(PositionPromises):
    part, families = Part(Distances), ("decoder_only",)


class TestProbe(FeedForwardPromises):
    part, families = Part(Probe), ("decoder_only",)


class TestExperts(FeedForwardPromises):
    part, families = Part(Experts), ("encoder_only", "decoder_only")


class TestNormInFloat32(NormPromises):
    part, families = Part(NormInFloat32), ("decoder_only",)


class TestDropsLayers(BlockPromises):
    part, families = Part(DropsLayers), ("decoder_only",)


class TestReZero(BlockPromises):
    part, families = Part(ReZero), ("encoder_only",)
