"""Decoding: one engine, any model that can decode, any strategy.

Shapes: B prompts, P prompt length, R live hypotheses, T tokens that enter, D model width, V vocabulary.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from framework.errors import UserError
from framework.generation.strategy import Hypothesis, Live, Strategy
from framework.parts.caches import EncoderOutput


@dataclass(frozen=True)
class Generated:
    """ids: what was written, without prompt and end. text: the same, decoded. score: sum of log-probabilities (nats), with the end's."""

    ids: list[int]
    text: str
    score: float


class Decode:
    """The engine bound to a strategy and a tokenizer: what a task is handed to write with.

    strategy: a built part of kind `decoding`. text: ids -> text. end: the id that ends a text. wanted_rows: how many of a split's
    total_rows rows are decoded in validation; None = all.
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

    def wanted(self, rows: Tensor) -> Tensor:
        """(B,) True for the rows of the sample: spread evenly over the split, the same on any number of ranks."""
        if self.wanted_rows is None:
            return torch.ones_like(rows, dtype=torch.bool)
        if self.total_rows is None:
            return rows < self.wanted_rows
        wanted, total = min(self.wanted_rows, self.total_rows), max(self.total_rows, 1)
        return (rows + 1) * wanted // total > rows * wanted // total

    def __call__(
        self,
        model: nn.Module,
        prompt: Tensor,
        padding_mask: Tensor | None = None,
        encoder_output: EncoderOutput | None = None,
        longest: int | None = None,
    ) -> list[list[Generated]]:
        """Continues each prompt (B, P), padded on the left where padding_mask (B, P) is False; n-best for each row, best first.
        longest: at most this many new tokens. encoder_output: of an encoder-decoder model."""
        padding_mask = None if padding_mask is None or bool(padding_mask.all()) else padding_mask
        prompts = [row.tolist() if padding_mask is None else row[padding_mask[number]].tolist() for number, row in enumerate(prompt)]
        limits = self._limits(model, [len(row) for row in prompts], longest)
        with torch.inference_mode(), evaluating(model):
            written = self._write(model, prompt, padding_mask, encoder_output, prompts, torch.tensor(limits, device=prompt.device))
        return [[Generated(found.ids, self.text(found.ids), found.score) for found in self.strategy.rank(row)] for row in written]

    def _write(
        self,
        model: Any,
        prompt: Tensor,
        padding_mask: Tensor | None,
        encoder_output: EncoderOutput | None,
        prompts: Sequence[Sequence[int]],
        limits: Tensor,
    ) -> list[list[Hypothesis]]:
        written: list[list[Hypothesis]] = [[] for _ in prompts]
        choose = self.strategy.begin(prompts, self.end, limits)
        live = Live(
            source=torch.arange(len(prompt), device=prompt.device),
            ids=prompt[:, :0],
            scores=torch.zeros(len(prompt), dtype=torch.float64, device=prompt.device),
        )
        state = model.state(encoder_output)
        hidden = model.decode(prompt, state, padding_mask)  # (B, P, D)
        while True:
            log_probabilities = self._log_probabilities(model, hidden, live)  # (R, V)
            parents, tokens = choose(live, log_probabilities)
            scores = live.scores[parents] + log_probabilities[parents, tokens]
            grown = Live(live.source[parents], torch.cat((live.ids[parents], tokens[:, None]), dim=1), scores)
            remaining = self._retire(grown, limits, written)
            if not len(remaining):
                return written
            parents, grown = parents[remaining], grown.select(remaining)
            if not torch.equal(parents, torch.arange(len(live.source), device=parents.device)):
                # What is kept of the source is copied only if rows leave or change their source, not when beams trade places.
                state.reorder(parents, encoder=not torch.equal(grown.source, live.source))
            live = grown
            hidden = model.decode(live.ids[:, -1:], state)  # (R, 1, D)

    def _log_probabilities(self, model: Any, hidden: Tensor, live: Live) -> Tensor:
        """(R, V) of the next token."""
        logits = model.logits(hidden[:, -1:])[:, 0]
        scores = logits.log_softmax(
            dim=-1, dtype=torch.promote_types(logits.dtype, torch.float32)
        )  # half precision is too coarse to add up
        if self.end is not None and live.ids.shape[1] < self.strategy.min_new_tokens:
            scores[:, self.end] = float("-inf")
        if self.strategy.no_repeat_ngram_size is not None:
            allowed = scores.isfinite() & ~repeats(live.ids, self.strategy.no_repeat_ngram_size, scores.shape[1])
            stuck = ~allowed.any(dim=1, keepdim=True)  # every token repeats: one of them must be written all the same
            scores = scores.where(allowed | stuck, float("-inf"))
        return scores

    def _retire(self, grown: Live, limits: Tensor, written: list[list[Hypothesis]]) -> Tensor:
        """Notes the hypotheses that are done; the numbers of those that go on."""
        ended = torch.zeros_like(grown.source, dtype=torch.bool) if self.end is None else grown.ids[:, -1] == self.end
        done = ended | (limits[grown.source] <= grown.ids.shape[1])
        for row in done.nonzero()[:, 0].tolist():
            ids, ends = grown.ids[row].tolist(), bool(ended[row])
            written[int(grown.source[row])].append(Hypothesis(ids[:-1] if ends else ids, float(grown.scores[row]), ends))
        return (~done).nonzero()[:, 0]

    def _limits(self, model: Any, lengths: Sequence[int], longest: int | None) -> list[int]:
        """How many tokens each prompt may get. The last one is written, never read: it needs no place in a table."""
        asked = [number for number in (longest, self.strategy.max_new_tokens) if number is not None]
        if asked and not ends(model):
            return [min(asked)] * len(lengths)
        readable = model.spec.max_length
        for length in lengths:
            if length > readable:
                raise UserError(f"a prompt of {length} tokens is longer than the {readable} the model reads (model.max_length)")
        return [min([*asked, readable - length + 1]) for length in lengths]


def ends(model: nn.Module) -> bool:
    """Whether the model cannot read past its max_length, as a table of positions cannot."""
    return any("table" in getattr(module, "provides", ()) for module in model.modules())


def repeats(ids: Tensor, length: int, vocab_size: int) -> Tensor:
    """(R, V) True for the tokens that would complete a run of `length` tokens that ids (R, N) have already."""
    rows, written = ids.shape
    if written < length:
        return torch.zeros(rows, vocab_size, dtype=torch.bool, device=ids.device)
    runs = ids.unfold(1, length, 1)  # (R, N - length + 1, length)
    again = (runs[:, :, :-1] == ids[:, None, written - length + 1 :]).all(dim=2)
    found = torch.where(again, runs[:, :, -1], vocab_size)  # one more column takes what repeats nothing
    return torch.zeros(rows, vocab_size + 1, dtype=torch.bool, device=ids.device).scatter_(1, found, True)[:, :vocab_size]


def generated_row(generated: Sequence[Generated]) -> dict[str, Any]:
    """The prediction of a prompt as a row: the best text, and with num_return_sequences also the others."""
    best, *others = generated
    row: dict[str, Any] = {"prediction": best.text, "score": best.score}
    return {**row, "others": [{"prediction": other.text, "score": other.score} for other in others]} if others else row


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Dropout off, and afterwards every module as it was."""
    training = [module for module in model.modules() if module.training]
    try:
        model.eval()
        yield
    finally:
        for module in training:
            module.training = True


def pad_left(rows: Sequence[Sequence[int]], padding: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Prompts of any length as ids (B, P) and padding_mask (B, P)."""
    longest = max(len(row) for row in rows)
    ids = torch.tensor([[padding] * (longest - len(row)) + list(row) for row in rows], device=device)
    padding_mask = torch.arange(longest, device=device) >= longest - torch.tensor([[len(row)] for row in rows], device=device)
    return ids, padding_mask
