"""Where the rows of specimen come from."""

from collections.abc import Iterator
from random import Random
from typing import Any

from framework.data.fingerprints import code_of
from framework.data.formats import Format, Row
from framework.data.sources.base import LocatedRow
from framework.data.sources.builtin import BuiltinData
from framework.registry import Part, choice, register

MOODS = {"good": "fine great lovely superb warm bright".split(), "bad": "dull awful bleak cold grim poor".split()}


@register("data")
class SpecimenData(BuiltinData):
    """Texts and labels that a simulation makes: a database, an archive or a service is read in the same place.

    words: in a text, at most.
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
        """One row at a time, and where it was found: a mistake in it is told with its place."""
        for number, row in enumerate(self._rows(split), 1):
            yield row, f"simulated {split} rows, row {number}"

    def origin(self, split: str) -> Any:
        """Everything that decides which rows there are: what is made of them is kept for as long as this stays the same."""
        return [split, self.words, code_of(self)]

    def _rows(self, split: str) -> Iterator[Row]:
        """Texts of an odd number of words, most of them of the mood that is the label; none of one split is in another."""
        random = Random(split)
        for number in range(1000 if split == "train" else 100):
            label = random.choice(list(MOODS))
            most = random.randint(1, max(1, self.words // 2))
            words = [random.choice(MOODS[mood]) for mood in MOODS for _ in range(most if mood == label else most - 1)]
            random.shuffle(words)
            yield {"text": f"{' '.join(words)} ({split} {number})", "label": label}
