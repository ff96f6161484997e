"""Contract tests of decoding strategies, with toy models that decode. Log-probabilities are compared within 1e-6."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from framework.generation.engine import Decode, Generated
from framework.generation.strategy import Choose, RunningHypotheses, Strategy
from framework.testing.contract import KindPromises, require
from framework.testing.promise import Inapplicable
from framework.testing.toy_models import VOCABULARY, forward, pad, texts, toy_model

LIMIT, TOLERANCE = 8, 1e-6
LIMITS: tuple[dict[str, Any], ...] = (
    {"max_new_tokens": 3},
    {"max_new_tokens": LIMIT, "min_new_tokens": 5},
    {"no_repeat_ngram_size": 1},
)


class DecodingPromises(KindPromises):
    """Contract tests of a decoding strategy.

    greedy: whether it takes the most probable token at every step.
    """

    greedy: ClassVar[bool] = False

    def test_scores_are_those_of_the_model(self) -> None:
        """The score of a text is the sum of the log-probabilities of its tokens in a full forward pass, end token included."""
        for toy in toys():
            end = self.end_token(toy)
            for row, generated in enumerate(self.generate(toy, end)):
                for text in generated:
                    ids = text.ids + ([end] if len(text.ids) < LIMIT else [])
                    score = toy.log_probabilities(row, ids).gather(1, torch.tensor(ids)[:, None]).sum().item()
                    require(
                        abs(score - text.score) < TOLERANCE,
                        f"scores are those of the model: a text of prompt {row} has the score {text.score:.6f}, and {score:.6f} in a full "
                        f"forward pass ({toy.family})",
                    )

    def test_rows_are_independent(self) -> None:
        """The texts of a prompt are the same alone and in a batch with other prompts."""
        for toy in toys():
            end = self.end_token(toy)
            together = self.generate(toy, end)
            for row, generated in enumerate(together):
                (alone,) = self.generate(toy, end, rows=[row])
                require(
                    ids_of(alone) == ids_of(generated),
                    f"rows are independent: prompt {row} gives {ids_of(alone)} alone and {ids_of(generated)} in a batch ({toy.family})",
                )

    def test_ends_at_the_end_token(self) -> None:
        """Every prompt has a text; no text has the end token inside it or goes on after it."""
        for toy in toys():
            end = self.end_token(toy)
            for row, generated in enumerate(self.generate(toy, end)):
                require(generated, f"ends at the end token: prompt {row} has no text ({toy.family})")
                inside = [text.ids for text in generated if end in text.ids]
                require(not inside, f"ends at the end token: prompt {row} has the text {inside[:1]} with end token {end} ({toy.family})")

    def test_keeps_its_limits(self) -> None:
        """min_new_tokens, max_new_tokens and no_repeat_ngram_size hold, and no token is chosen that may not be generated."""
        for toy in toys():
            end = self.end_token(toy)
            for values in LIMITS:
                if not self.has(*values):
                    continue
                for generated in self.generate(toy, end, **values):
                    for text in generated:
                        said = f"with {values} a text is {text.ids} ({toy.family})"
                        shortest = values.get("min_new_tokens", 0)
                        require(shortest <= len(text.ids) <= values.get("max_new_tokens", LIMIT), f"keeps its limits: {said}")
                        repeated = "no_repeat_ngram_size" in values and len(set(text.ids)) < len(text.ids)
                        require(not repeated, f"keeps its limits: {said}")

    def test_is_the_same_twice(self) -> None:
        """The same prompts give the same texts, whatever was generated before and however the global generator is seeded."""
        for toy in toys():
            end, strategy = self.end_token(toy), self.with_values()()
            torch.manual_seed(1)
            first = [ids_of(generated) for generated in self.generate(toy, end, strategy=strategy)]
            self.generate(toy, end, rows=[2, 0], strategy=strategy)
            torch.manual_seed(2)
            again = [ids_of(generated) for generated in self.generate(toy, end, strategy=strategy)]
            new = [ids_of(generated) for generated in self.generate(toy, end)]
            require(first == again == new, f"is the same twice: {first}, then {again}, and with a new strategy {new} ({toy.family})")

    def test_takes_a_certain_token(self) -> None:
        """A token of probability 1 is chosen, for every prompt."""
        strategy, wanted = self.with_values()(), torch.tensor([4, 9, 7])
        choose = strategy.begin([[1], [2], [3]], None, torch.full((3,), LIMIT))
        log_probabilities = torch.full((3, VOCABULARY), -60.0, dtype=torch.float64)
        log_probabilities[torch.arange(3), wanted] = 0.0
        running = RunningHypotheses(torch.arange(3), torch.zeros(3, 0, dtype=torch.long), torch.zeros(3, dtype=torch.float64))
        parents, tokens = choose(running, log_probabilities)
        chosen = set(zip(parents.tolist(), tokens.tolist(), strict=True))
        missing = [row for row, token in enumerate(wanted.tolist()) if (row, token) not in chosen]
        require(not missing, f"takes a certain token: that of prompts {missing} is not among (parent, token) {sorted(chosen)}")

    def test_is_greedy_where_it_says_so(self) -> None:
        """A greedy strategy takes the most probable token of a full forward pass at every step."""
        if not self.greedy:
            raise Inapplicable("greedy = False: the strategy may take other tokens than the most probable one")
        for toy in toys():
            end = self.end_token(toy)
            for row, (text, *_) in enumerate(self.generate(toy, end)):
                ids = text.ids + ([end] if len(text.ids) < LIMIT else [])
                best = toy.log_probabilities(row, ids).argmax(-1).tolist()
                require(ids == best, f"is greedy: prompt {row} gives {ids}, the most probable tokens are {best} ({toy.family})")

    def generate(
        self, toy: "Toy", end: int | None, rows: Sequence[int] = (0, 1, 2), strategy: Strategy | None = None, **values: Any
    ) -> list[list[Generated]]:
        """The texts of some prompts of the toy."""
        decode = Decode(checked(strategy or self.with_values(**values)()), str, end)
        return decode(toy.model, *toy.prompts(rows), toy.encoder_output(rows), longest=LIMIT)

    def end_token(self, toy: "Toy") -> int:
        """A token that the strategy generates: generation ends early with it as the end token."""
        generated = self.generate(toy, None)[0]
        require(generated, f"ends at the end token: prompt 0 has no text ({toy.family})")
        ids = generated[0].ids
        return ids[min(2, len(ids) - 1)]


class Toy:
    """A model of a family and three prompts of different length; with a source each for an encoder-decoder."""

    def __init__(self, family: str):
        self.family, self.model = family, toy_model(family).eval()
        self.cross = "cross" in self.model.provides
        self.rows, self.sources = texts(5, 3, 4), texts(4, 6, 5)

    def prompts(self, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        return pad([self.rows[row] for row in rows], "left")

    def encoder_output(self, rows: Sequence[int]) -> Any:
        with torch.inference_mode():
            return self.model.encode(*pad([self.sources[row] for row in rows], "right")) if self.cross else None

    @torch.no_grad()
    def log_probabilities(self, row: int, ids: Sequence[int]) -> Tensor:
        """(N, V) of the tokens ids (N,) that follow a prompt, by a full forward pass."""
        whole = torch.cat((self.rows[row], torch.tensor(ids, dtype=torch.long)))[None]
        logits = self.model.logits(forward(self.model, whole, self.sources[row][None]))[0]
        return logits[len(self.rows[row]) - 1 : -1].log_softmax(-1)


def toys() -> Iterator[Toy]:
    return map(Toy, ("decoder_only", "encoder_decoder"))


def ids_of(generated: Sequence[Generated]) -> list[list[int]]:
    return [text.ids for text in generated]


def checked(strategy: Strategy) -> Strategy:
    """The strategy; BrokenPromise: what it chooses are no hypotheses, or a token that may not be generated."""
    begin = type(strategy).begin

    def begin_checked(prompts: Sequence[Sequence[int]], end: int | None, limits: Tensor) -> Choose:
        choose = begin(strategy, prompts, end, limits)

        def choose_checked(running: RunningHypotheses, log_probabilities: Tensor) -> tuple[Tensor, Tensor]:
            parents, tokens = choose(running, log_probabilities)
            fits = parents.shape == tokens.shape == (len(parents),)
            fits = fits and bool((parents >= 0).all() and (parents < len(log_probabilities)).all())
            require(
                fits and bool((running.source[parents].diff() >= 0).all()),
                f"keeps its limits: parents {parents.tolist()} of {len(log_probabilities)} hypotheses; those of a prompt must be "
                "adjacent, and prompts in their order",
            )
            allowed = log_probabilities[parents, tokens].isfinite()
            require(allowed.all(), f"keeps its limits: token {tokens[~allowed].tolist()[:1]} was chosen, and may not be generated")
            return parents, tokens

        return choose_checked

    strategy.begin = begin_checked  # type: ignore[method-assign]
    return strategy
