"""Running text, to be continued."""

from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import ClassVar

from framework.data.formats import Batch, Features, Format, Row, TextTokenizer, text_of
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.registry import register

from .baseline import order_three
from .builtin import files
from .shift import shifted
from .words import words_of


@register("format")
class CompletionFormat(Format):
    """Documents of running text; in batches each token is followed by the one to predict.

    end_of_document: put the end token after every document, so that the model learns where texts end.
    builtin_megabytes: the most of the standard library's source that the built-in training part takes.
    """

    columns: ClassVar[tuple[str, ...]] = ("text",)
    stream: ClassVar[bool] = True
    rules: ClassVar[dict[str, str]] = {"builtin_megabytes > 0": "training needs some text"}
    provides: ClassVar[tuple[str, ...]] = ("stream", "documents", "counted")

    def __init__(self, end_of_document: bool = True, builtin_megabytes: float = 2.0):
        self.end_of_document, self.builtin_megabytes = end_of_document, builtin_megabytes

    def tokenizer_texts(self, row: Row) -> Iterable[str]:
        return [text_of(row)]

    def encode(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec) -> Features | None:
        """ids, and the bytes and words of the text that each stands for: the end token for none. A row without a token is dropped."""
        ids, offsets = tokenizer.encode_with_offsets(text := text_of(row))
        features = {"ids": ids, "bytes": tokenizer.byte_lengths(ids), "words": words_of(text, offsets)}
        if self.end_of_document:
            if spec.end is None:
                raise UserError(
                    "the tokenizer has no end token to mark the end of a document; task.format.end_of_document=false does without"
                )
            for name, value in (("ids", spec.end), ("bytes", 0), ("words", 0)):
                features[name].append(value)
        return features if features["ids"] else None

    def collate(self, features: Sequence[Features], spec: DataSpec, random: Random) -> Batch:
        return shifted(features, spec)

    def builtin(self, split: str, seed: int) -> Iterator[Row]:
        """Files of the running Python's own standard library, the same for every seed so that seeds compare."""
        return files(split, self.builtin_megabytes)

    def baseline(self, train: Iterable[Row], test: Iterable[Row]) -> dict[str, float]:
        return {"bits_per_byte": order_three((row["text"] for row in train), (row["text"] for row in test))}
