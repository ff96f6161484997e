"""The data of specimen: its rows and their encoding."""

from collections.abc import Iterable, Iterator
from random import Random
from typing import Any, ClassVar

from framework import DataSpec, Features, Format, Row, TextTokenizer, register, text_of

COLORS = ("red", "blue")
OTHERS = "one two three four five six seven eight nine ten left right up down here there now then".split()


@register("format")
class SpecimenFormat(Format):
    """A text and its label.

    A batch has the encoded features under their own names, lists padded on the right, and `padding_mask` (True = token). Override `collate`
    for another one.
    """

    columns: ClassVar[tuple[str, ...]] = ("text", "label")
    optional: ClassVar[tuple[str, ...]] = ("label",)

    def fit(self, rows: Iterable[Row]) -> dict[str, Any]:
        return {"labels": tuple(sorted({str(row["label"]) for row in rows}))}

    def encode(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec) -> Features:
        """ids: the begin token and the text, truncated to spec.max_length. label: its index, if the row has one."""
        ids = [*([] if spec.begin is None else [spec.begin]), *tokenizer.encode(text_of(row))]
        if not ids:
            raise ValueError("the text is empty")
        features: Features = {"ids": ids[: spec.max_length], "@truncated": len(ids) > spec.max_length}
        if (label := row.get("label")) is not None:
            if str(label) not in spec.labels:
                raise ValueError(f"label {label!r} does not occur in the training rows; they have {', '.join(spec.labels)}")
            features["label"] = spec.labels.index(str(label))
        return features

    def builtin(self, split: str, seed: int) -> Iterator[Row]:
        """Which of two words comes first? A bag of words is right half of the time. The rows are the same for every seed."""
        random = Random(split)
        for _ in range(2000 if split == "train" else 200):
            words = [*COLORS, *random.sample(OTHERS, random.randint(3, 8))]
            random.shuffle(words)
            yield {"text": " ".join(words), "label": min(COLORS, key=words.index)}
