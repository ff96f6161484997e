"""Prompts and what follows them: the model learns to write the second and only reads the first."""

from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import ClassVar, Literal

import torch

from framework.data.formats import Batch, Features, Format, Row, TextTokenizer, text_of
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.registry import register

from .baseline import order_three
from .shift import shifted
from .signatures import signatures
from .words import words_of


@register("format")
class PromptedFormat(Format):
    """A prompt and its completion. The loss is of the completion and its end alone, as is usual: Shi et al. 2024, https://arxiv.org/abs/2405.14394

    marked: put the begin token between the two, so that the model sees where it is to answer; false for prompts that say it themselves.
    long: what happens to a row that is longer than the model reads: `truncate` (the prompt loses its beginning, down to half of what
        the model reads, then the completion its end) or `refuse` it.
    builtin_rows: the most pairs that the built-in training part takes: functions of the standard library, and what they are for.
    """

    columns: ClassVar[tuple[str, ...]] = ("prompt", "completion")
    optional: ClassVar[tuple[str, ...]] = ("completion",)
    rules: ClassVar[dict[str, str]] = {"builtin_rows >= 1": "training needs at least one pair"}

    def __init__(self, marked: bool = True, long: Literal["truncate", "refuse"] = "truncate", builtin_rows: int = 8000):
        self.marked, self.long, self.builtin_rows = marked, long, builtin_rows

    def tokenizer_texts(self, row: Row) -> Iterable[str]:
        return [text_of(row, "prompt"), text_of(row, "completion")]

    def encode(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec) -> Features | None:
        """ids of both, and the bytes and words that each stands for; prompt: how many of them are read alone. truncated: 1 if some
        were cut. A row without a completion is one to predict of; one in which nothing can be predicted is dropped."""
        if spec.end is None:
            raise UserError("a completion needs a tokenizer with an end token: without it no written text would end")
        if self.marked and spec.begin is None:
            raise UserError("the tokenizer has no begin token to put between prompt and completion; task.format.marked=false does without")
        prompt = tokenizer.encode(text_of(row, "prompt"))
        answers = row.get("completion") is not None
        answer, offsets = tokenizer.encode_with_offsets(text_of(row, "completion")) if answers else ([], [])
        room = spec.max_length + 1 - self.marked  # what is predicted last is never read
        wanted = len(prompt) + len(answer) + answers
        if wanted > room and self.long == "refuse":
            raise ValueError(
                f"prompt and completion have {wanted} tokens together, the model reads {room} (model.max_length={spec.max_length}); "
                "a larger model.max_length reads them, task.format.long=truncate cuts them"
            )
        prompt = prompt[max(0, len(prompt) - max(room // 2, room - len(answer) - answers)) :]
        kept = min(len(answer), room - len(prompt))
        ended = [spec.end] if answers and len(prompt) + kept < room else []  # what was cut does not end there
        read = prompt + ([spec.begin] if self.marked else [])
        ids = [*read, *answer[:kept], *ended]
        if not ids or (answers and len(ids) < 2):
            return None
        blank, mark = [0] * len(read), [0] * len(ended)
        return {
            "ids": ids,
            "bytes": [*blank, *tokenizer.byte_lengths(answer[:kept]), *mark],
            "words": [*blank, *words_of(row["completion"] if answers else "", offsets)[:kept], *mark],
            "prompt": len(read),
            "truncated": int(wanted > room),
        }

    def collate(self, features: Sequence[Features], spec: DataSpec, random: Random) -> Batch:
        """As running text, but that the tokens of the prompts (B,) are no targets."""
        counted = [{**row, "counted": [0] * row["prompt"] + [1] * (len(row["ids"]) - row["prompt"])} for row in features]
        return {**shifted(counted, spec), "prompt": torch.tensor([row["prompt"] for row in features])}

    def builtin(self, split: str, seed: int) -> Iterator[Row]:
        """The first line of a function's docstring, to be written from its signature: the same for every seed so that seeds compare."""
        return signatures(split, self.builtin_rows)

    def baseline(self, train: Iterable[Row], test: Iterable[Row]) -> dict[str, float]:
        return {"bits_per_byte": order_three((row["completion"] for row in train), (row["completion"] for row in test))}
