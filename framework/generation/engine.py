"""Text generation with any model that decodes and any strategy.

Shapes: B prompts, P prompt length, R running hypotheses, D model dimension, V vocabulary.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from framework.errors import UserError
from framework.generation.strategy import Hypothesis, RunningHypotheses, Strategy
from framework.parts.caches import EncoderOutput
from framework.utils.recording import nothing_recorded


@dataclass(frozen=True)
class Prefixes:
    """The prefixes of running hypotheses: their prompts and the tokens generated so far.

    prompt: (B, P), padding_mask: (B, P), True = token; None = all are. running: the hypotheses. hidden: (R, D) of their last tokens.
    """

    prompt: Tensor
    padding_mask: Tensor | None
    running: RunningHypotheses
    hidden: Tensor

    def ids(self) -> tuple[Tensor, Tensor | None]:
        """The prompts with the tokens generated so far, (R, P + N), and their padding mask."""
        running = self.running
        ids = torch.cat((self.prompt[running.source], running.ids), dim=1)
        if self.padding_mask is None:
            return ids, None
        return ids, torch.cat((self.padding_mask[running.source], torch.ones_like(running.ids, dtype=torch.bool)), dim=1)


LogitsProcessor = Callable[[Tensor, Prefixes], Tensor]  # logits (R, V) of the next tokens -> logits (R, V)


@dataclass(frozen=True)
class Generated:
    """A generated text: ids without prompt and end token, the decoded text, and the sum of log-probabilities (nats), end token included."""

    ids: list[int]
    text: str
    score: float


class Decode:
    """Generates text from a model with a decoding strategy.

    strategy: a built part of kind `decoding`. text: ids -> text. end: the end token, None = there is none. wanted_rows: number of
    a split's total_rows rows that are decoded in validation; None = all.

    >>> model = build_model(compose(["task=completion"]))
    >>> decode = Decode(Part("decoding/greedy", max_new_tokens=5)(), text=str, end=None)
    >>> (generated,) = decode(model, torch.tensor([[65, 66]]))
    >>> len(generated[0].ids)
    5
    """

    def __init__(
        self,
        strategy: Strategy,
        text: Callable[[list[int]], str],
        end: int | None,
        wanted_rows: int | None = None,
        total_rows: int | None = None,
    ):
        self.strategy, self.text, self.end = strategy, text, end
        self.wanted_rows, self.total_rows = wanted_rows, total_rows

    def wanted(self, numbers: Sequence[int]) -> list[int]:
        """Positions in a batch of the rows to generate for, from the numbers of its rows: a sample spread evenly over the split, the
        same on any number of ranks."""
        if self.wanted_rows is None:
            return list(range(len(numbers)))
        total = self.wanted_rows if self.total_rows is None else self.total_rows
        wanted = min(self.wanted_rows, total)
        return [position for position, row in enumerate(numbers) if row < total and (row + 1) * wanted // total > row * wanted // total]

    def __call__(
        self,
        model: nn.Module,
        prompt: Tensor,
        padding_mask: Tensor | None = None,
        encoder_output: EncoderOutput | None = None,
        longest: int | Sequence[int] | None = None,
        logits_processor: LogitsProcessor | None = None,
    ) -> list[list[Generated]]:
        """Continue prompts (B, P), padded on the left where padding_mask (B, P) is False; the texts of each, best first.

        encoder_output: of an encoder-decoder model. longest: maximum number of new tokens, of all or of each prompt, beside the strategy's.
        logits_processor: of a task that changes its model's logits.
        """
        padding_mask = None if padding_mask is None or bool(padding_mask.all()) else padding_mask
        prompts = [row.tolist() if padding_mask is None else row[padding_mask[number]].tolist() for number, row in enumerate(prompt)]
        limits = self._limits(model, [len(row) for row in prompts], longest)
        with torch.inference_mode(), evaluating(model), nothing_recorded():
            of_prompts = torch.tensor(limits, device=prompt.device)
            finished = self._generate(model, prompt, padding_mask, encoder_output, prompts, of_prompts, logits_processor)
        return [[Generated(one.ids, self.text(one.ids), one.score) for one in self.strategy.rank(row)] for row in finished]

    def _generate(
        self,
        model: Any,
        prompt: Tensor,
        padding_mask: Tensor | None,
        encoder_output: EncoderOutput | None,
        prompts: Sequence[Sequence[int]],
        limits: Tensor,
        logits_processor: LogitsProcessor | None,
    ) -> list[list[Hypothesis]]:
        finished: list[list[Hypothesis]] = [[] for _ in prompts]
        choose = self.strategy.begin(prompts, self.end, limits)
        running = RunningHypotheses(
            source=torch.arange(len(prompt), device=prompt.device),
            ids=prompt[:, :0],
            scores=torch.zeros(len(prompt), dtype=torch.float64, device=prompt.device),
        )
        state = model.state(encoder_output)
        hidden = model.decode(prompt, state, padding_mask)  # (B, P, D)
        while True:
            logits = model.logits(hidden[:, -1:])[:, 0]  # (R, V)
            if logits_processor is not None:
                logits = logits_processor(logits, Prefixes(prompt, padding_mask, running, hidden[:, -1]))
            log_probabilities = self._log_probabilities(logits, running)
            parents, tokens = choose(running, log_probabilities)
            scores = running.scores[parents] + log_probabilities[parents, tokens]
            grown = RunningHypotheses(running.source[parents], torch.cat((running.ids[parents], tokens[:, None]), dim=1), scores)
            remaining = self._finish(grown, limits, finished)
            if not len(remaining):
                return finished
            parents, grown = parents[remaining], grown.select(remaining)
            if not torch.equal(parents, torch.arange(len(running.source), device=parents.device)):
                # The encoder's keys and values are copied only if rows leave or change their source, not when beams change places.
                state.reorder(parents, encoder=not torch.equal(grown.source, running.source))
            running = grown
            hidden = model.decode(running.ids[:, -1:], state)  # (R, 1, D)

    def _log_probabilities(self, logits: Tensor, running: RunningHypotheses) -> Tensor:
        """(R, V) of the next token; -inf for tokens that may not be generated."""
        scores = logits.log_softmax(dim=-1, dtype=torch.promote_types(logits.dtype, torch.float32))  # sums need more than half precision
        if self.end is not None and running.ids.shape[1] < self.strategy.min_new_tokens:
            scores[:, self.end] = float("-inf")
        if self.strategy.no_repeat_ngram_size is not None:
            allowed = scores.isfinite() & ~repeats(running.ids, self.strategy.no_repeat_ngram_size, scores.shape[1])
            stuck = ~allowed.any(dim=1, keepdim=True)  # every token would repeat an n-gram: allow all
            scores = scores.where(allowed | stuck, float("-inf"))
        return scores

    def _finish(self, grown: RunningHypotheses, limits: Tensor, finished: list[list[Hypothesis]]) -> Tensor:
        """Append finished hypotheses to `finished`; return the rows of the others."""
        ended = torch.zeros_like(grown.source, dtype=torch.bool) if self.end is None else grown.ids[:, -1] == self.end
        done = ended | (limits[grown.source] <= grown.ids.shape[1])
        for row in done.nonzero()[:, 0].tolist():
            ids, ends = grown.ids[row].tolist(), bool(ended[row])
            finished[int(grown.source[row])].append(Hypothesis(ids[:-1] if ends else ids, float(grown.scores[row]), ends))
        return (~done).nonzero()[:, 0]

    def _limits(self, model: Any, lengths: Sequence[int], longest: int | Sequence[int] | None) -> list[int]:
        """Maximum number of new tokens of each prompt. The last one is never an input, so it needs no position."""
        wished = [longest] * len(lengths) if longest is None or isinstance(longest, int) else longest
        bounded, readable, limits = has_position_table(model), model.spec.max_length, []
        for length, most in zip(lengths, wished, strict=True):
            asked = [number for number in (most, self.strategy.max_new_tokens) if number is not None]
            if bounded or not asked:
                if length > readable:
                    raise UserError(
                        f"a prompt has {length} tokens and model.max_length is {readable}: shorten it or raise model.max_length"
                    )
                asked.append(readable - length + 1)
            limits.append(min(asked))
        return limits


def has_position_table(model: nn.Module) -> bool:
    """Whether the model has a position with a table of max_length entries, and so cannot read longer texts."""
    return any("table" in getattr(module, "provides", ()) for module in model.modules())


def repeats(ids: Tensor, length: int, vocab_size: int) -> Tensor:
    """(R, V) True for tokens that would complete an n-gram of `length` tokens that ids (R, N) contain."""
    rows, count = ids.shape
    if count < length:
        return torch.zeros(rows, vocab_size, dtype=torch.bool, device=ids.device)
    ngrams = ids.unfold(1, length, 1)  # (R, N - length + 1, length)
    again = (ngrams[:, :, :-1] == ids[:, None, count - length + 1 :]).all(dim=2)
    completed = torch.where(again, ngrams[:, :, -1], vocab_size)  # the last column takes n-grams that do not match
    return torch.zeros(rows, vocab_size + 1, dtype=torch.bool, device=ids.device).scatter_(1, completed, True)[:, :vocab_size]


def generated_row(generated: Sequence[Generated]) -> dict[str, Any]:
    """The generated texts of a prompt as a row of predictions: the best, and `others` if there are more.

    >>> model = build_model(compose(["task=completion"]))
    >>> decode = Decode(Part("decoding/greedy", max_new_tokens=5)(), text=str, end=None)
    >>> (generated,) = decode(model, torch.tensor([[65, 66]]))
    >>> sorted(generated_row(generated))
    ['prediction', 'score']
    """
    best, *others = generated
    row: dict[str, Any] = {"prediction": best.text, "score": best.score}
    return {**row, "others": [{"prediction": other.text, "score": other.score} for other in others]} if others else row


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode; afterwards every module has its former mode again."""
    training = [module for module in model.modules() if module.training]
    try:
        model.eval()
        yield
    finally:
        for module in training:
            module.training = True


def pad_left(rows: Sequence[Sequence[int]], padding: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Prompts of different lengths as ids (B, P) and padding_mask (B, P), padded on the left.

    >>> ids, padding_mask = pad_left([[5, 6, 7], [8]], padding=0)
    >>> ids.tolist(), padding_mask.tolist()
    ([[5, 6, 7], [0, 0, 8]], [[True, True, True], [False, False, True]])
    """
    longest = max(len(row) for row in rows)
    ids = torch.tensor([[padding] * (longest - len(row)) + list(row) for row in rows], device=device)
    padding_mask = torch.arange(longest, device=device) >= longest - torch.tensor([[len(row)] for row in rows], device=device)
    return ids, padding_mask
