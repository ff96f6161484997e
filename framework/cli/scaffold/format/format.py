"""Texts with a title."""

from collections.abc import Iterator
from random import Random
from typing import Any

from framework import Part, Row, register, text_of

ClassificationFormat: Any = Part("format/classification").cls  # the class of any option may be the base of another


@register("format")
class SpecimenFormat(ClassificationFormat):
    """A text with a title, and its target. The title is repeated, so that its words count more.

    times: how often the model reads the title.
    """

    columns = ("title", "text", "label")
    text_columns = ("title", "text")

    def __init__(self, times: int = 2, **options: Any):
        super().__init__(**options)
        self.times = times

    def encode_text(self, row: Row, tokenizer, spec) -> dict[str, Any]:
        return super().encode_text({"text": " ".join([text_of(row, "title")] * self.times + [text_of(row)])}, tokenizer, spec)

    def words(self, row: Row) -> set[str]:
        """The features of a row for a baseline."""
        return {*text_of(row, "title").split(), *text_of(row).split()}

    def builtin(self, split: str, seed: int) -> Iterator[Row]:
        """Rows that need no file, the same for every seed: their title decides."""
        random = Random(split)
        for number in range(600 if split == "train" else 60):
            label, words = random.choice(["sport", "music"]), random.choices("one two three four five six".split(), k=8)
            title = f"{random.choice(['loud', 'new', 'old'])} {label}"
            yield {"title": title, "text": f"{' '.join(words)} {split} {number}", "label": label}
