"""Format of language modeling: documents of running text."""

from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import ClassVar

from framework import Batch, DataSpec, Features, Format, Row, StandardLibrary, TextTokenizer, UserError, register, text_of

from .shift import SHIFTED, shifted, words_of


@register("format")
class CompletionFormat(Format):
    """Documents of running text; the target of a token is the next one.

    end_of_document: put the end token after every document, so that the model learns where texts end.
    builtin_megabytes: size of the built-in training part at most.
    """

    columns: ClassVar[tuple[str, ...]] = ("text",)
    makes: ClassVar[tuple[str, ...]] = SHIFTED
    dispensable: ClassVar[tuple[str, ...]] = ("bytes", "words")
    stream: ClassVar[bool] = True
    rules: ClassVar[dict[str, str]] = {"builtin_megabytes > 0": "builtin_megabytes must be positive"}
    provides: ClassVar[tuple[str, ...]] = ("stream", "documents", "counted")

    def __init__(self, end_of_document: bool = True, builtin_megabytes: float = 2.0):
        self.end_of_document, self.builtin_megabytes = end_of_document, builtin_megabytes

    def tokenizer_texts(self, row: Row) -> Iterable[str]:
        return [text_of(row)]

    def encode(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec) -> Features | None:
        """ids, and for each the bytes and words of the text that it stands for (0 for the end token). A row without tokens is dropped."""
        ids, offsets = tokenizer.encode_with_offsets(text := text_of(row))
        features = {"ids": ids, "bytes": tokenizer.byte_lengths(ids), "words": words_of(text, offsets)}
        if self.end_of_document:
            if spec.end is None:
                raise UserError(
                    "task.format.end_of_document needs a tokenizer with an end token; task.format.end_of_document=false does not"
                )
            for name, value in (("ids", spec.end), ("bytes", 0), ("words", 0)):
                features[name].append(value)
        return features if features["ids"] else None

    def collate(self, features: Sequence[Features], spec: DataSpec, random: Random) -> Batch:
        return shifted(features, spec)

    def builtin(self, split: str, seed: int) -> Iterator[Row]:
        """Files of the running Python's own standard library, the same for every seed."""
        return StandardLibrary().rows(split, self.builtin_megabytes)
