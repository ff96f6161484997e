"""Format of prompts and completions: the loss is of the completions alone."""

import ast
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from random import Random
from typing import ClassVar, Literal
from zlib import crc32

import numpy as np
import torch

from framework import (
    Batch,
    DataSpec,
    FeatureRows,
    Features,
    Format,
    Ragged,
    Row,
    StandardLibrary,
    TextTokenizer,
    UserError,
    kept_on_disk,
    register,
    text_of,
)

from .shift import SHIFTED, shifted, words_of


@register("format")
class PromptedFormat(Format):
    """A prompt and its completion. Only the completion and its end token have a loss: Shi et al. 2024, https://arxiv.org/abs/2405.14394

    marked: put the begin token between prompt and completion; false for prompts that end in a mark of their own.
    long: truncate a row of more tokens than the model takes (first the beginning of the prompt, down to half of them, then the end of
        the completion), or refuse it.
    builtin_rows: number of built-in training pairs at most: functions of the standard library and their docstrings.
    """

    columns: ClassVar[tuple[str, ...]] = ("prompt", "completion")
    makes: ClassVar[tuple[str, ...]] = (*SHIFTED, "prompt")
    dispensable: ClassVar[tuple[str, ...]] = ("bytes", "words")
    optional: ClassVar[tuple[str, ...]] = ("completion",)
    rules: ClassVar[dict[str, str]] = {"builtin_rows >= 1": "builtin_rows must be at least 1"}

    def __init__(self, marked: bool = True, long: Literal["truncate", "refuse"] = "truncate", builtin_rows: int = 8000):
        self.marked, self.long, self.builtin_rows = marked, long, builtin_rows

    def tokenizer_texts(self, row: Row) -> Iterable[str]:
        return [text_of(row, "prompt"), text_of(row, "completion")]

    def encode(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec) -> Features | None:
        """ids of both, and for each its bytes and words; prompt: the number of tokens without a loss.
        A row without a completion is one to predict from; a row without a target is dropped."""
        if spec.end is None:
            raise UserError("format/prompted needs a tokenizer with an end token: generation would not end without one")
        if self.marked and spec.begin is None:
            raise UserError("task.format.marked needs a tokenizer with a begin token; task.format.marked=false does not")
        prompt = tokenizer.encode(text_of(row, "prompt"))
        has_completion = row.get("completion") is not None
        completion, offsets = tokenizer.encode_with_offsets(text_of(row, "completion")) if has_completion else ([], [])
        room = spec.max_length + 1 - self.marked  # the last target is no input
        total = len(prompt) + len(completion) + has_completion
        if total > room and self.long == "refuse":
            raise ValueError(
                f"prompt and completion have {total} tokens together, the model takes {room} (model.max_length={spec.max_length}); "
                "choose a larger model.max_length, or task.format.long=truncate"
            )
        prompt = prompt[max(0, len(prompt) - max(room // 2, room - len(completion) - has_completion)) :]
        length = min(len(completion), room - len(prompt))
        end = [spec.end] if has_completion and len(prompt) + length < room else []  # a truncated completion has no end
        inputs = prompt + ([spec.begin] if self.marked else [])
        ids = [*inputs, *completion[:length], *end]
        if not ids or (has_completion and len(ids) < 2):
            return None
        before, after = [0] * len(inputs), [0] * len(end)
        return {
            "ids": ids,
            "bytes": [*before, *tokenizer.byte_lengths(completion[:length]), *after],
            "words": [*before, *words_of(row["completion"] if has_completion else "", offsets)[:length], *after],
            "prompt": len(inputs),
            "@truncated": total > room,
        }

    def collate(self, features: Sequence[Features], spec: DataSpec, random: Random) -> Batch:
        """As running text, but the tokens of the prompts (prompt: their number, (B,)) are no targets."""
        rows = FeatureRows.of(features)
        lengths, prompts = rows.lists("ids").lengths, rows.numbers("prompt")
        counted = Ragged.of_padded(np.arange(int(lengths.max())) >= prompts[:, None], lengths)
        return {**shifted(rows.but(**{"@counted": counted}), spec), "prompt": torch.from_numpy(prompts)}

    def builtin(self, split: str, seed: int) -> Iterator[Row]:
        """The signature of a function, and the first line of its docstring; the same for every seed."""
        return signatures(split, self.builtin_rows)


def signatures(split: str, most: int, folder: Path | None = None) -> Iterator[Row]:
    """A signature, and the first line of its docstring. A hash of that line decides the split: no line is in two of them."""
    library = StandardLibrary(folder)
    known = _pairs() if folder is None else pairs_of(folder)
    pairs = ((prompt, text) for prompt, text in known if library.split_of(crc32(text.encode())) == split)
    for prompt, text in islice(pairs, most if split == "train" else max(1, int(library.held_out_share * most))):
        yield {"prompt": prompt, "completion": text}


@kept_on_disk
def _pairs() -> Iterable[tuple[str, str]]:
    return pairs_of(StandardLibrary().root)


def pairs_of(root: Path) -> Iterable[tuple[str, str]]:
    """Every pair of the files once. Files are ordered by hash, so that the first ones are of all kinds."""
    return dict.fromkeys(pair for _, path in StandardLibrary(root).hashed() for pair in _functions(root / path))


def _functions(path: Path) -> Iterator[tuple[str, str]]:
    if parsed := StandardLibrary.parse(path):
        for node in StandardLibrary.functions(parsed[1]):
            if text := ast.get_docstring(node):
                yield f"def {node.name}({ast.unparse(node.args)}):", text.partition("\n")[0]
