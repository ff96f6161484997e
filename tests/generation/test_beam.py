"""Beam search against exhaustive search, and against a plain implementation without cache, batch or tensors."""

import copy
import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from framework.config.compose import compose
from framework.errors import UserError
from framework.generation.beam import Beam
from framework.generation.engine import Generated, generated_row, pad_left, repeats
from framework.generation.strategy import Greedy
from framework.models.decoder_only import DecoderOnlyModel
from framework.models.encoder_decoder import EncoderDecoderModel
from framework.parts.caches import DecodingState
from framework.registry import Part
from tests.generation.test_engine import END, MAX_LENGTH, PAIRS, PROMPTS, Countdown, decode, make
from tests.precision import rounds_like

Logits = Callable[[Tensor], Tensor]  # of the token after ids (1, T)
DEFAULT: dict[str, Any] = {"early_stopping": "length_so_far"}
ROUNDING, BY_FAR = 1e-9, 1e-3  # bound on the rounding of float64 sums; a difference far above it
OFTEN = 7  # as the end token: some texts reach it at once, some late, some never
SOURCES = [[5, 6, 7, 8], [9], [10, 11, 12], [4, 13]]


@torch.no_grad()
def search(
    logits_of: Logits,
    prompt: list[int],
    limit: int,
    end: int | None,
    num_beams: int = 5,
    length_penalty: float = 1.0,
    num_return_sequences: int = 1,
    early_stopping: str = "exact",
    min_new_tokens: int = 0,
    no_repeat_ngram_size: int | None = None,
) -> list[tuple[list[int], float]]:
    """Plain beam search: texts and their summed log-probabilities. With `exact` it runs to the limit."""
    live: list[tuple[list[int], float]] = [([], 0.0)]
    finished: list[tuple[float, float, list[int]]] = []
    for length in range(1, limit + 1):
        candidates = []
        for ids, score in live:
            scores = logits_of(torch.tensor([prompt + ids])).log_softmax(-1).tolist()
            runs = [tuple(ids[at : at + (no_repeat_ngram_size or 1)]) for at in range(len(ids))] if no_repeat_ngram_size else []
            for token, more in enumerate(scores):
                if tuple([*ids, token][-(no_repeat_ngram_size or 1) :]) not in runs and not (token == end and len(ids) < min_new_tokens):
                    candidates.append((score + more, ids, token))
        candidates = sorted(candidates, key=lambda candidate: -candidate[0])[: 2 * num_beams]
        live = []
        for rank, (score, ids, token) in enumerate(candidates):
            if token == end and rank < num_beams:
                finished.append((score / length**length_penalty, score, ids))
            elif token != end and len(live) < num_beams and (rank < num_beams or length < limit):
                live.append(([*ids, token], score))
        if length == limit:
            finished += [(score / length**length_penalty, score, ids) for ids, score in live]
        elif early_stopping != "exact" and len(finished) >= num_beams:
            worst = sorted(finished, reverse=True)[num_beams - 1][0]
            if early_stopping == "first" or live[0][1] / length**length_penalty <= worst:
                break
    return [(ids, score) for _, score, ids in sorted(finished, reverse=True)[:num_return_sequences]]


def assert_same(found: list[Generated], expected: list[tuple[list[int], float]], tolerance: float = ROUNDING) -> None:
    assert [one.ids for one in found] == [ids for ids, _ in expected]
    assert [one.score for one in found] == pytest.approx([score for _, score in expected], abs=tolerance)


@pytest.mark.matrix(0.4, axes=())
@pytest.mark.parametrize("early_stopping", ["exact", "length_so_far", "first"])
@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 1.0, 2.0, -0.5])
def test_as_many_beams_as_there_are_texts_find_the_best(length_penalty: float, early_stopping: str) -> None:
    """With 64 = 4 ** 3 beams, more than the 40 possible texts, the result is exhaustive search by full forward passes."""
    model = make(EncoderDecoderModel, vocab_size=4).eval()
    source = torch.tensor([[3, 1, 3], [1, 1, 0]])
    strategy = Beam(num_beams=64, num_return_sequences=40, length_penalty=length_penalty, early_stopping=early_stopping)
    with torch.no_grad():
        encoder_output = model.encode(source, source != 0)
        written = decode(strategy)(model, torch.ones(2, 1, dtype=torch.long), encoder_output=encoder_output, longest=3)
        for row, length, found in zip(source, (3, 2), written, strict=True):
            texts: dict[tuple[int, ...], float] = {}
            for text in itertools.product(range(4), repeat=3):
                text = text[: text.index(END) + 1] if END in text else text
                scores = model.logits(model(row[None, :length], torch.tensor([[1, *text[:-1]]])))[0].log_softmax(-1)
                texts[text] = float(scores[range(len(text)), text].sum())
            ordered = sorted(texts.items(), key=lambda item: -item[1] / len(item[0]) ** length_penalty)
            assert len(ordered) == 40
            assert_same(found, [([token for token in text if token != END], score) for text, score in ordered])


@pytest.mark.parametrize(("attention", "position"), PAIRS)
def test_it_is_the_plain_search(attention: str, position: str) -> None:
    """Prompts of different lengths in one batch; some end early and leave it."""
    model = make(DecoderOnlyModel, position=Part(f"position/{position}"), attention=Part(f"attention/{attention}")).eval()
    for options in ({"num_beams": 3, "num_return_sequences": 3}, {"num_beams": 4, "early_stopping": "exact", "length_penalty": 0.7}):
        written = decode(Beam(**options), OFTEN)(model, *pad_left(PROMPTS, padding=0), longest=8)
        for prompt, found in zip(PROMPTS, written, strict=True):
            expected = search(lambda ids: model.logits(model(ids))[0, -1], prompt, 8, OFTEN, **{**DEFAULT, **options})
            assert_same(found, expected)


OPTIONS: list[dict[str, Any]] = [
    {"early_stopping": "first", "num_return_sequences": 5},
    {"early_stopping": "length_so_far", "length_penalty": 2.0},
    {"early_stopping": "length_so_far", "length_penalty": -1.0, "num_return_sequences": 2},
    {"early_stopping": "exact", "length_penalty": 2.0, "num_return_sequences": 3},
    {"early_stopping": "exact", "length_penalty": 0.0},
    {"early_stopping": "exact", "length_penalty": -0.5, "num_return_sequences": 2},
    {"min_new_tokens": 4, "num_return_sequences": 4},
    {"no_repeat_ngram_size": 2, "num_return_sequences": 5},
    {"no_repeat_ngram_size": 1, "min_new_tokens": 3},
    {"num_beams": 12, "num_return_sequences": 12},  # more than the first step has tokens for
]


def with_source() -> tuple[Any, Any, list[Logits]]:
    """A model, the encoder output of SOURCES as one batch, and for each source alone a function of ids to next-token logits."""
    model = make(EncoderDecoderModel, vocab_size=14).eval()
    source = torch.tensor([row + [0] * (4 - len(row)) for row in SOURCES])
    with torch.no_grad():
        encoder_output = model.encode(source, source != 0)
    return model, encoder_output, [lambda ids, row=row: model.logits(model(torch.tensor([row]), ids))[0, -1] for row in SOURCES]


@pytest.mark.matrix(0.4, axes=())
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_it_is_the_plain_search_with_a_source(options: dict[str, Any]) -> None:
    model, encoder_output, logits = with_source()
    written = decode(Beam(**options), OFTEN)(model, torch.ones(4, 1, dtype=torch.long), encoder_output=encoder_output, longest=9)
    for logits_of, found in zip(logits, written, strict=True):
        assert_same(found, search(logits_of, [1], 9, OFTEN, **{**DEFAULT, **options}))
        if "no_repeat_ngram_size" in options:
            size = options["no_repeat_ngram_size"]
            runs = [[tuple(one.ids[at : at + size]) for at in range(len(one.ids) - size + 1)] for one in found]
            assert all(len(set(each)) == len(each) for each in runs)
        assert all(len(one.ids) >= options.get("min_new_tokens", 0) for one in found)


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 3.0])
def test_one_beam_is_greedy(length_penalty: float) -> None:
    model, encoder_output, _ = with_source()
    begin = torch.ones(4, 1, dtype=torch.long)
    assert decode(Beam(num_beams=1, length_penalty=length_penalty), OFTEN)(model, begin, encoder_output=encoder_output) == decode(
        Greedy(), OFTEN
    )(model, begin, encoder_output=encoder_output)
    model = make(DecoderOnlyModel)
    prompts = pad_left(PROMPTS, padding=0)
    assert decode(Beam(num_beams=1, length_penalty=length_penalty), OFTEN)(model, *prompts) == decode(Greedy(), OFTEN)(model, *prompts)


def test_in_single_precision_scores_are_those_of_a_full_forward() -> None:
    exact, encoder_output, _ = with_source()
    model = copy.deepcopy(exact).float()
    encoder_output.hidden_states = encoder_output.hidden_states.float()
    written = decode(Beam(num_return_sequences=5, length_penalty=0.0), OFTEN)(
        model, torch.ones(4, 1, dtype=torch.long), encoder_output=encoder_output
    )

    @torch.no_grad()
    def full_forward(model: Any) -> Tensor:
        """Summed log-probabilities of the generated texts."""
        sums = []
        for row, found in zip(SOURCES, written, strict=True):
            for text in ([*one.ids, OFTEN] if len(one.ids) < MAX_LENGTH else one.ids for one in found):
                scores = model.logits(model(torch.tensor([row]), torch.tensor([[1, *text[:-1]]])))[0].log_softmax(-1)
                sums.append(scores[range(len(text)), text].sum())
        return torch.stack(sums)

    rounds_like([torch.tensor([one.score for found in written for one in found])], [full_forward(model)], [full_forward(exact)])


def test_a_text_does_not_depend_on_its_batch() -> None:
    model = make(DecoderOnlyModel, position=Part("position/rotary"))
    together = decode(Beam(num_return_sequences=5), OFTEN)(model, *pad_left(PROMPTS, padding=0), longest=10)
    for prompt, found in zip(PROMPTS, together, strict=True):
        (alone,) = decode(Beam(num_return_sequences=5), OFTEN)(model, torch.tensor([prompt]), longest=10)
        assert_same(found, [(one.ids, one.score) for one in alone])
    assert len({len(found[0].ids) for found in together}) > 1


def test_more_beams_find_no_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """More beams are at least as good on these rows (no general law): a better text by far, or the same text up to rounding. Exact
    stopping is never worse, which is a law: it stops where nothing better can follow; it costs steps."""
    model, encoder_output, _ = with_source()
    steps: list[int] = []
    plain = type(model).decode
    monkeypatch.setattr(type(model), "decode", lambda self, ids, *rest: (steps.append(len(ids)), plain(self, ids, *rest))[1])

    def best(**options: Any) -> tuple[list[float], int]:
        steps.clear()
        written = decode(Beam(**options), OFTEN)(model, torch.ones(4, 1, dtype=torch.long), encoder_output=encoder_output)
        return [found[0].score / (len(found[0].ids) + (len(found[0].ids) < MAX_LENGTH)) for found in written], sum(steps)

    (one, _), (five, soon), (exact, late) = best(num_beams=1), best(), best(early_stopping="exact")
    assert all(more >= less - ROUNDING for more, less in zip(five, one, strict=True)) and sum(five) > sum(one) + BY_FAR
    assert all(more >= less - ROUNDING for more, less in zip(exact, five, strict=True))
    assert soon < late


def test_the_sources_keys_are_copied_only_when_rows_come_or_go(monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[bool] = []
    reorder = DecodingState.reorder
    monkeypatch.setattr(
        DecodingState, "reorder", lambda self, rows, encoder=True: (copied.append(encoder), reorder(self, rows, encoder))[1]
    )
    model, encoder_output, _ = with_source()
    decode(Beam(num_beams=4), end=None)(model, torch.ones(4, 1, dtype=torch.long), encoder_output=encoder_output, longest=8)
    assert copied[0] is True and copied[1:] and not any(copied[1:])  # four rows become sixteen, then beams only trade places


def test_prompts_that_are_done_leave() -> None:
    model = Countdown()  # one token at a time is certain: every other text is worse by far
    written = decode(Beam(num_beams=2, length_penalty=0.0, early_stopping="exact"), end=0)(model, torch.tensor([[9], [4], [2], [1]]))
    assert [found[0].ids for found in written] == [[8, 7, 6, 5, 4, 3, 2, 1], [3, 2, 1], [1], []]
    assert model.rows == [4, 6, 4, 4, 2, 2, 2, 2, 2]


def test_what_repeats() -> None:
    draw = random.Random(0)
    for length in (1, 2, 3):
        for written in (0, 1, 2, 3, 12):
            ids = [[draw.randrange(3) for _ in range(written)] for _ in range(4)]
            found = repeats(torch.tensor(ids, dtype=torch.long).reshape(4, written), length, vocab_size=4)
            runs = [[row[at : at + length] for at in range(written - length + 1)] for row in ids]
            expected = [
                [[*row, token][-length:] in seen and written >= length for token in range(4)] for row, seen in zip(ids, runs, strict=True)
            ]
            assert found.tolist() == expected


def test_where_every_token_repeats_one_is_written_all_the_same() -> None:
    model = make(DecoderOnlyModel, vocab_size=3)
    for strategy in (Beam(num_beams=2, no_repeat_ngram_size=1), Greedy(no_repeat_ngram_size=1)):
        (found,) = decode(strategy, end=None)(model, torch.tensor([[1]]), longest=6)
        assert len(found[0].ids) == 6 and set(found[0].ids[:3]) == {0, 1, 2}


def test_the_row_of_a_prediction_names_the_others() -> None:
    best, second = Generated([3], "b", -1.0), Generated([4], "a", -2.0)
    assert generated_row([best]) == {"prediction": "b", "score": -1.0}
    assert generated_row([best, second]) == {"prediction": "b", "score": -1.0, "others": [{"prediction": "a", "score": -2.0}]}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"num_beams": 0, "num_return_sequences": 0}, "num_beams must be"),
        ({"num_return_sequences": 6}, "between 1 and num_beams"),
        ({"num_return_sequences": 0}, "between 1 and num_beams"),
        ({"no_repeat_ngram_size": 0}, "no_repeat_ngram_size must be"),
        ({"max_new_tokens": 2, "min_new_tokens": 3}, "must not exceed max_new_tokens"),
    ],
)
def test_senseless_options_are_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        Part(Beam, **options)()


def test_the_preset() -> None:
    five = compose(["task=translation", "task/decoding=beam_5"]).config["task"]["decoding"]
    assert (five["part"], five["num_beams"], five["length_penalty"]) == ("decoding/beam", 5, 1.0)


def test_the_recipe_of_transformer_tiny_is_one_word_and_leaves_every_choice_open() -> None:
    config = compose(["experiment=multi30k_tiny", "data.folder=somewhere"]).config
    assert (config["task"]["decoding"]["num_beams"], config["callbacks"]["average_last"]["last"]) == (5, 10)
    assert (config["model"]["encoder"]["feed_forward"] or config["model"]["feed_forward"])["hidden"] == 256
    swapped = [
        "model=small_encoder_decoder",
        "task/decoding=greedy",
        "optimizer=muon",
        "schedule=linear",
        "tokenizer=unigram",
        "data/batches=rows",
    ]
    assert compose(["experiment=multi30k_tiny", "data.folder=somewhere", *swapped]).config["task"]["decoding"]["part"] == "decoding/greedy"
