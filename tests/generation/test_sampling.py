"""Sampling draws from the distribution that its options describe, and the same again from the same seed."""

import math

import pytest
import torch
from torch import Tensor, nn

from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.generation.engine import Decode
from framework.generation.sampling import Sampling
from framework.generation.strategy import Greedy, Strategy
from framework.parts.caches import DecodingState
from framework.registry import Part

VOCABULARY = 7


class Fixed(nn.Module):
    """The next token's scores depend on the last token alone."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = DataSpec(vocab_size=VOCABULARY, max_length=50, end=0)
        self.scores = torch.randn(VOCABULARY, VOCABULARY, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * 2

    def state(self, encoder_output: object = None) -> DecodingState:
        return DecodingState([])

    def decode(self, ids: Tensor, state: DecodingState, padding_mask: Tensor | None = None) -> Tensor:
        return ids

    def logits(self, hidden: Tensor) -> Tensor:
        return self.scores[hidden]


def write(strategy: Strategy, prompts: list[int], longest: int = 12, end: int | None = None) -> list[list[int]]:
    decode = Decode(strategy, str, end)
    return [found[0].ids for found in decode(Fixed(), torch.tensor(prompts)[:, None], longest=longest)]


def slow(scores: list[float], temperature: float, top_k: int | None, top_p: float) -> list[float]:
    """The definition, one token after another."""
    weights = [math.exp(score / temperature) for score in scores]
    order = sorted(range(len(scores)), key=lambda token: -weights[token])[:top_k]
    total, kept, mass = sum(weights[token] for token in order), [], 0.0
    for token in order:  # the fewest whose mass reaches top_p
        kept.append(token)
        mass += weights[token] / total
        if mass >= top_p:
            break
    total = sum(weights[token] for token in kept)
    return [weights[token] / total if token in kept else 0.0 for token in range(len(scores))]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7])
@pytest.mark.parametrize("top_k", [None, 1, 3, 100])
@pytest.mark.parametrize("top_p", [1.0, 0.8, 0.3])
def test_the_distribution_is_the_slow_formula(temperature: float, top_k: int | None, top_p: float) -> None:
    strategy = Sampling(temperature=temperature, top_k=top_k, top_p=top_p)
    model = Fixed()
    probability, token = strategy.distribution(model.scores.log_softmax(-1))
    found = torch.zeros_like(probability).scatter(1, token, probability)
    expected = [slow(row.tolist(), temperature, top_k, top_p) for row in model.scores]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), atol=1e-12, rtol=0)


@pytest.mark.parametrize("options", [{}, {"temperature": 0.6}, {"top_k": 3}, {"top_p": 0.7}])
def test_tokens_are_as_frequent_as_they_are_probable(options: dict[str, float]) -> None:
    count = 4000  # the same prompt again and again: each time with random numbers of its own
    drawn = torch.tensor(write(Sampling(**options), [4] * count, longest=1))[:, 0].bincount(minlength=VOCABULARY) / count
    expected = slow(Fixed().scores[4].tolist(), options.get("temperature", 1.0), options.get("top_k"), options.get("top_p", 1.0))
    for found, probability in zip(drawn.tolist(), expected, strict=True):
        assert abs(found - probability) <= 4 * math.sqrt(probability * (1 - probability) / count)


def test_the_same_seed_writes_the_same() -> None:
    prompts = [1, 2, 3, 4, 5, 6]
    first = write(Sampling(seed=7), prompts)
    strategy = Sampling(seed=7)
    assert write(strategy, prompts) == first == write(strategy, prompts)
    assert write(Sampling(seed=8), prompts) != first


def test_a_text_does_not_depend_on_its_batch() -> None:
    together = write(Sampling(seed=1), [1, 2, 3, 4], end=0)
    assert [write(Sampling(seed=1), [prompt], end=0)[0] for prompt in (1, 2, 3, 4)] == together
    assert len({len(text) for text in together}) > 1


def test_one_candidate_is_greedy() -> None:
    assert write(Sampling(top_k=1), [1, 2, 3]) == write(Sampling(top_p=1e-9), [1, 2, 3]) == write(Greedy(), [1, 2, 3])


def test_the_score_is_the_models_own() -> None:
    """At any temperature, so that texts compare."""
    found = Decode(Sampling(temperature=2.0, top_k=4), str, None)(Fixed(), torch.tensor([[5]]), longest=6)[0][0]
    scores = Fixed().scores.log_softmax(-1)
    steps = zip([5, *found.ids], found.ids, strict=False)
    assert found.score == pytest.approx(sum(float(scores[before, after]) for before, after in steps), abs=1e-9)


def test_no_end_before_min_length() -> None:
    texts = write(Sampling(min_new_tokens=5), [1, 2, 3, 4, 5, 6] * 5, end=0)
    assert min(map(len, texts)) == 5
    assert min(map(len, write(Sampling(), [1, 2, 3, 4, 5, 6] * 5, end=0))) < 5


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"temperature": 0.0}, "temperature must be positive"),
        ({"top_k": 0}, "top_k must be at least 1"),
        ({"top_p": 0.0}, "top_p must be in"),
        ({"top_p": 1.5}, "top_p must be in"),
        ({"max_new_tokens": 0}, "max_new_tokens must be at least 1"),
        ({"max_new_tokens": 3, "min_new_tokens": 4}, "must not exceed max_new_tokens"),
    ],
)
def test_senseless_options_are_refused(options: dict[str, float], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        Part(Sampling, **options)()
