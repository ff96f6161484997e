"""The mixture of experts against a loop over tokens, its losses against their equations and over micro-batches, in float64."""

import math

import pytest
import torch
from torch import nn
from transformers.models.mixtral.configuration_mixtral import MixtralConfig
from transformers.models.mixtral.modeling_mixtral import MixtralSparseMoeBlock

from framework.errors import UserError
from framework.registry import Part
from framework.utils.recording import record_figures, recorded_losses
from tests.precision import close, doubles

DIM, EXPERTS, ACTIVE = 6, 5, 2
OFFERS = {"dim": DIM, "num_heads": 2, "num_layers": 1, "dropout": 0.0, "bias": False, "epsilon": 1e-5, "layer": 0}
MASK = torch.tensor([[1, 1, 1, 1, 1], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0]]).bool()


@pytest.fixture(autouse=True)
def precision():
    """Runs both sides in float64."""
    torch.manual_seed(0)
    with doubles():
        yield


def mixture(**options):
    values = {"experts": EXPERTS, "active": ACTIVE, "expert": Part("feed_forward/gated", hidden=7), **options}
    network = Part("feed_forward/mixture_of_experts", **values)(**OFFERS)
    for parameter in network.parameters():
        nn.init.normal_(parameter)
    return network


@pytest.mark.parametrize("shared", [0, 2])
@pytest.mark.parametrize(("active", "normalized"), [(1, False), (2, False), (2, True), (5, True)])
@pytest.mark.parametrize("mask", [None, MASK])
def test_each_token_gets_its_experts(shared, active, normalized, mask):
    network = mixture(shared_experts=shared, active=active, normalized=normalized)
    x = torch.randn(3, 5, DIM)
    got = network(x, padding_mask=mask)
    for b in range(3):
        for t in range(5):
            token = x[b, t]
            if mask is not None and not mask[b, t]:
                assert not got[b, t].any()
                continue
            probabilities = [math.exp(value) for value in network.router(token).tolist()]
            best = sorted(range(EXPERTS), key=lambda number: -probabilities[number])[:active]
            total = sum(probabilities[number] for number in (best if normalized else range(EXPERTS)))
            wanted = sum(probabilities[number] / total * network.experts[number](token) for number in best)
            close(got[b, t], wanted + sum(expert(token) for expert in network.shared))


def test_it_is_the_mixture_of_mixtral():
    config = MixtralConfig(hidden_size=DIM, intermediate_size=7, num_local_experts=EXPERTS, num_experts_per_tok=ACTIVE)
    theirs, mine = MixtralSparseMoeBlock(config), mixture()
    with torch.no_grad():
        theirs.gate.weight.copy_(mine.router.weight)
        for number, expert in enumerate(mine.experts):
            theirs.experts.gate_up_proj[number].copy_(torch.cat((expert.gate.weight, expert.input.weight)))
            theirs.experts.down_proj[number].copy_(expert.output.weight)
    x = torch.randn(3, 5, DIM)
    out = theirs(x)
    close(mine(x), out[0] if isinstance(out, tuple) else out)


def losses(network, x, mask):
    with recorded_losses() as found:
        network.train()(x, padding_mask=mask)
    return found


def test_the_losses_are_those_of_the_papers():
    network, x, figures = mixture(balance_loss=0.3, z_loss=0.2), torch.randn(3, 5, DIM), {}
    before = record_figures(lambda name, value: figures.update({name: float(value)}))
    found = losses(network, x, MASK)
    record_figures(before)
    balance, z, counts = 0.0, 0.0, [0] * EXPERTS
    for b in range(2):  # the third row has no token
        used, mean, tokens = [0.0] * EXPERTS, [0.0] * EXPERTS, MASK[b].sum().item()
        for t in MASK[b].nonzero().flatten().tolist():
            logits = network.router(x[b, t]).tolist()
            total = sum(math.exp(value) for value in logits)
            z += 0.2 * math.log(total) ** 2
            for number in sorted(range(EXPERTS), key=lambda number: -logits[number])[:ACTIVE]:
                used[number] += 1 / tokens
                counts[number] += 1
            mean = [value + math.exp(logit) / total / tokens for value, logit in zip(mean, logits, strict=True)]
        balance += 0.3 * EXPERTS / ACTIVE * sum(f * p for f, p in zip(used, mean, strict=True))
    assert found["router_balance"][0].item() == pytest.approx(balance, abs=1e-9) and found["router_balance"][1].item() == 2
    assert found["router_z"][0].item() == pytest.approx(z, abs=1e-9) and found["router_z"][1].item() == 7
    assert figures == pytest.approx({"expert_most": max(counts) / 7, "expert_least": min(counts) / 7})


def test_the_losses_of_two_halves_are_those_of_the_batch():
    """Sums and weights of micro-batches add up to those of the whole, so that the mean over all of them is the same."""
    network, x = mixture(), torch.randn(3, 5, DIM)
    whole, halves = losses(network, x, MASK), [losses(network, x[part], MASK[part]) for part in (slice(0, 1), slice(1, 3))]
    for name, (loss, weight) in whole.items():
        close(loss, halves[0][name][0] + halves[1][name][0])
        assert weight == halves[0][name][1] + halves[1][name][1]


def test_balanced_experts_have_the_least_loss():
    network = mixture(balance_loss=1.0)
    nn.init.zeros_(network.router.weight)
    assert losses(network, torch.randn(1, 4, DIM), None)["router_balance"][0].item() == pytest.approx(1.0)


def test_an_expert_without_a_token_has_a_gradient_of_zero():
    network = mixture()
    network(torch.randn(1, 1, DIM)).sum().backward()
    gradients = [any(parameter.grad.any() for parameter in expert.parameters()) for expert in network.experts]
    assert sum(gradients) == ACTIVE and all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"active": 6}, "at most experts"),
        ({"active": 1}, "set normalized=false"),
        ({"expert": Part("feed_forward/mixture_of_experts")}, "dense network"),
    ],
)
def test_impossible_options_are_refused(values, reason):
    with pytest.raises(UserError, match=reason):
        mixture(**values)
