"""The engine against a plain loop without a cache, row by row; limits and end tokens."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.generation.engine import Decode, pad_left
from framework.generation.strategy import Greedy, Strategy
from framework.models.decoder_only import DecoderOnlyModel
from framework.models.encoder_decoder import EncoderDecoderModel
from framework.parts.caches import DecodingState
from framework.registry import Part

VOCABULARY, END, MAX_LENGTH = 17, 2, 16
SIZES = {"dim": 16, "num_heads": 2, "num_layers": 2, "max_length": MAX_LENGTH, "initial_std": 0.5, "tied": False}


def make(cls: type, vocab_size: int = VOCABULARY, **options: object) -> nn.Module:
    """A toy model in float64 with dropout, which generation must disable; large initial weights, so that texts differ."""
    torch.manual_seed(0)
    return Part(cls, **SIZES, **options)(spec=DataSpec(vocab_size=vocab_size, max_length=MAX_LENGTH, begin=1, end=END)).double()


def decode(strategy: Strategy | None = None, end: int | None = END, **options: object) -> Decode:
    return Decode(strategy or Greedy(), lambda ids: " ".join(map(str, ids)), end, **options)


@torch.no_grad()
def loop(logits_of: Callable[[Tensor], Tensor], prompt: Sequence[int], limit: int, end: int | None) -> tuple[list[int], float]:
    """Plain greedy decoding: a full forward pass for every token."""
    ids, score = list(prompt), 0.0
    for _ in range(limit):
        scores = logits_of(torch.tensor([ids])).log_softmax(-1)
        score += float(scores.max())
        if int(scores.argmax()) == end:
            break
        ids.append(int(scores.argmax()))
    return ids[len(prompt) :], score


PROMPTS = [[3, 4, 5, 6, 7], [8], [9, 10], [3, 3, 3, 3], [11, 12, 13], [4, 9, 14, 5, 16]]


PAIRS = [("multi_head", position) for position in ("learned", "rotary", "alibi", "relative", "none")] + [("linear", "rotary")]


@pytest.mark.parametrize(("attention", "position"), PAIRS)
def test_greedy_is_the_plain_loop(attention: str, position: str) -> None:
    model = make(DecoderOnlyModel, position=Part(f"position/{position}"), attention=Part(f"attention/{attention}"))
    written = decode(end=None)(model, *pad_left(PROMPTS, padding=0), longest=10)
    assert model.training  # as it was
    model.eval()
    for end in (None, written[0][0].ids[3]):  # an end that some texts reach, so that rows leave
        written = decode(end=end)(model, *pad_left(PROMPTS, padding=0), longest=10)
        for prompt, found in zip(PROMPTS, written, strict=True):
            ids, score = loop(lambda ids: model.logits(model(ids))[0, -1], prompt, 10, end)
            assert [found[0].ids, found[0].text] == [ids, " ".join(map(str, ids))]
            assert found[0].score == pytest.approx(score, abs=1e-9)
    assert len(written[0][0].ids) <= 3 and len({tuple(found[0].ids) for found in written}) > 2


@pytest.mark.parametrize(("attention", "position"), PAIRS)
def test_training_goes_on_after_writing(attention: str, position: str) -> None:
    """Generation in inference mode leaves no tensor in the model that has no gradient."""
    model = make(DecoderOnlyModel, position=Part(f"position/{position}"), attention=Part(f"attention/{attention}"))
    decode()(model, torch.tensor([[3, 4, 5]]), longest=5)
    model.logits(model(torch.tensor([[3, 4, 5, 6, 7, 8]]))).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_greedy_is_the_plain_loop_with_a_source() -> None:
    model = make(EncoderDecoderModel)
    sources = [[5, 6, 7, 8], [9], [10, 11, 12], [4, 13]]
    source = torch.tensor([row + [0] * (4 - len(row)) for row in sources])
    model.eval()
    encoder_output = model.encode(source, source != 0)
    written = decode()(model, torch.ones(4, 1, dtype=torch.long), encoder_output=encoder_output)
    for row, found in zip(sources, written, strict=True):
        ids, score = loop(lambda ids, row=row: model.logits(model(torch.tensor([row]), ids))[0, -1], [1], MAX_LENGTH, END)
        assert found[0].ids == ids
        assert found[0].score == pytest.approx(score, abs=1e-9)
    assert len({tuple(found[0].ids) for found in written}) > 1


class Countdown(nn.Module):
    """A model that predicts the last token minus one; 0 ends. It records the number of rows of every call."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = DataSpec(vocab_size=10, max_length=100, end=0)
        self.rows: list[int] = []

    def state(self, encoder_output: object = None) -> DecodingState:
        return DecodingState([])

    def decode(self, ids: Tensor, state: DecodingState, padding_mask: Tensor | None = None) -> Tensor:
        state.extend(torch.zeros_like(ids), padding_mask)
        assert state.positions is not None and len(state.positions) == len(ids), "the state keeps rows that left"
        self.rows.append(len(ids))
        return ids[..., None].double()

    def logits(self, hidden: Tensor) -> Tensor:
        return -((torch.arange(10) - (hidden - 1).clamp(min=0)) ** 2) * 1e3


def test_finished_rows_leave() -> None:
    model = Countdown()
    written = decode(end=0)(model, *pad_left([[9, 4], [2], [4], [1]], padding=0))
    assert [found[0].ids for found in written] == [[3, 2, 1], [1], [3, 2, 1], []]
    assert model.rows == [4, 3, 2, 2]  # the last prompt ends at once, the second a step later


def test_limits() -> None:
    prompts = torch.tensor([[9], [5], [3]])

    def lengths(strategy: Strategy, end: int | None = 0, longest: int | None = None) -> list[int]:
        return [len(found[0].ids) for found in decode(strategy, end)(Countdown(), prompts, longest=longest)]

    assert lengths(Greedy()) == [8, 4, 2]
    assert lengths(Greedy(max_new_tokens=3)) == [3, 3, 2]
    assert lengths(Greedy(max_new_tokens=3), longest=2) == [2, 2, 2]
    assert lengths(Greedy(max_new_tokens=6), end=None) == [6, 6, 6]
    assert lengths(Greedy(min_new_tokens=3)) == [8, 4, 3]
    assert lengths(Greedy(), end=None) == [100, 100, 100]  # all the model can read, and one that it need not


def test_a_table_of_positions_ends_the_writing() -> None:
    model = make(DecoderOnlyModel)
    prompts = [[3] * 10, [4] * MAX_LENGTH, [5]]
    written = decode(end=None)(model, *pad_left(prompts, padding=0), longest=50)
    assert [len(found[0].ids) for found in written] == [7, 1, 16]  # the last token is never read
    with pytest.raises(UserError, match="a prompt has 17 tokens and model.max_length is 16"):
        decode()(model, torch.full((1, 17), 3))


def test_without_a_table_writing_goes_on() -> None:
    model = make(DecoderOnlyModel, position=Part("position/rotary"))
    assert len(decode(end=None)(model, torch.tensor([[5, 6]]), longest=40)[0][0].ids) == 40
    assert len(decode(end=None)(model, torch.tensor([[5, 6]]))[0][0].ids) == MAX_LENGTH - 1


@pytest.mark.parametrize(("wanted", "total"), [(0, 10), (3, 10), (10, 10), (200, 10), (7, 1000), (1, 1)])
def test_the_sample_is_spread_evenly(wanted: int, total: int) -> None:
    chosen = decode(wanted_rows=wanted, total_rows=total).wanted(range(total))
    assert len(chosen) == min(wanted, total)
    gaps = {after - before for before, after in pairwise(chosen)}
    assert not gaps or max(gaps) - min(gaps) <= 1
    ranks = [decode(wanted_rows=wanted, total_rows=total).wanted(range(rank, total, 2)) for rank in (0, 1)]
    assert sorted([2 * place for place in ranks[0]] + [2 * place + 1 for place in ranks[1]]) == chosen


def test_all_rows_are_wanted_when_nobody_says() -> None:
    assert decode().wanted([0, 5]) == [0, 1]
    assert decode(wanted_rows=3).wanted([3, 0, 2]) == [1, 2]
