"""Data source of specimen."""

from collections.abc import Iterator
from random import Random
from typing import Any

from framework import BuiltinData, Format, LocatedRow, Part, Row, choice, register

MOODS = {"good": "fine great lovely superb warm bright".split(), "bad": "dull awful bleak cold grim poor".split()}


@register("data")
class SpecimenData(BuiltinData):
    """Simulated texts and labels. A database, an archive or a service would be read in `_rows`.

    words: largest number of words in a text.
    """

    def __init__(
        self,
        format: Format,
        seed: int,
        words: int = 7,
        limit: int | None = None,
        batches: Part = choice("batches", "buckets"),
        workers: int = 0,
    ):
        super().__init__(format, seed, limit=limit, batches=batches, workers=workers)
        self.words = words

    def native_splits(self) -> tuple[str, ...]:
        return ("train", "validation", "test")

    def read(self, split: str) -> Iterator[LocatedRow]:
        """Iterate over rows, each with its place, which begins the message of an error in it."""
        for number, row in enumerate(self._rows(split), 1):
            yield row, f"simulated {split} rows, row {number}"

    def origin(self, split: str) -> Any:
        """Everything that the rows depend on: the cache of encoded rows is valid as long as it is equal. The base class adds the code."""
        return [super().origin(split), self.words]

    def _rows(self, split: str) -> Iterator[Row]:
        """Texts of an odd number of words, most of them with the mood of the label. No text is in two splits."""
        random = Random(split)
        for number in range(1000 if split == "train" else 100):
            label = random.choice(list(MOODS))
            most = random.randint(1, max(1, self.words // 2))
            words = [random.choice(MOODS[mood]) for mood in MOODS for _ in range(most if mood == label else most - 1)]
            random.shuffle(words)
            yield {"text": f"{' '.join(words)} ({split} {number})", "label": label}
