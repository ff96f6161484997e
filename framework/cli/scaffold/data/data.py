"""The source of rows specimen."""

from collections.abc import Iterator
from random import Random
from typing import Any

from framework import BuiltinData, Format, LocatedRow, Part, Row, choice, register

MOODS = {"good": "fine great lovely superb warm bright".split(), "bad": "dull awful bleak cold grim poor".split()}


@register("data")
class SpecimenData(BuiltinData):
    """Generated texts with labels. A source that reads a database, an archive or a service has the same methods.

    words: maximum number of words in a text.
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
        """One row at a time, with its place, which error messages name."""
        for number, row in enumerate(self._rows(split), 1):
            yield row, f"simulated {split} rows, row {number}"

    def origin(self, split: str) -> Any:
        """All that the rows depend on, for the cache of encoded rows; the base class adds the source code."""
        return [super().origin(split), self.words]

    def _rows(self, split: str) -> Iterator[Row]:
        """Texts whose majority of words belongs to the label; each text contains its split and number, so that splits share none."""
        random = Random(split)
        for number in range(1000 if split == "train" else 100):
            label = random.choice(list(MOODS))
            most = random.randint(1, max(1, self.words // 2))
            words = [random.choice(MOODS[mood]) for mood in MOODS for _ in range(most if mood == label else most - 1)]
            random.shuffle(words)
            yield {"text": f"{' '.join(words)} ({split} {number})", "label": label}
