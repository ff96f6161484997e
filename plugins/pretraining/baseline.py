"""Baseline of pretraining: the likeliest token between its neighbors."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from framework import IGNORED, Batch

PRIOR = 1.0  # weight of the frequency of a token, in counts of neighbors
CANDIDATES = 20  # tokens of each side that are scored

Beside = dict[int, Counter[int]]  # token -> its neighbors


class Neighbors:
    """The likeliest token between two others, by counts of neighbors.

    P(x | left, right) ~ P(x | left) P(right | x), each mixed with the frequency of its token. Tokens of `hidden` (masks) are no neighbors.
    """

    def __init__(self, texts: Iterable[Sequence[int]], hidden: Iterable[int]):
        self.count: Counter[int] = Counter()
        self.after: Beside = {}
        self.before: Beside = {}
        for text in texts:
            self.count.update(text)
            for left, right in zip(text, text[1:], strict=False):
                self.after.setdefault(left, Counter())[right] += 1
                self.before.setdefault(right, Counter())[left] += 1
        self.total = self.count.total()
        self.hidden = {*hidden}
        self.frequent = likely(self.count)
        self.followers = {token: likely(counts) for token, counts in self.after.items()}
        self.leaders = {token: likely(counts) for token, counts in self.before.items()}

    def __call__(self, left: int | None, right: int | None) -> int:
        left, right = (None if token in self.hidden else token for token in (left, right))
        candidates = dict.fromkeys((*self.followers.get(left, ()), *self.leaders.get(right, ()), *self.frequent))  # type: ignore[arg-type]
        return max(candidates, key=lambda token: self._score(token, left, right))

    def _score(self, token: int, left: int | None, right: int | None) -> float:
        score = self._share(token) if left is None else self._follows(left, token)
        return score if right is None else score * self._follows(token, right)

    def _follows(self, left: int, right: int) -> float:
        count = self.after[left][right] if left in self.after else 0
        return (count + PRIOR * self._share(right)) / (self.count[left] + PRIOR)

    def _share(self, token: int) -> float:
        return (self.count[token] + 1) / (self.total + 1)


def likely(counts: Counter[int]) -> list[int]:
    return [token for token, _ in counts.most_common(CANDIDATES)]


def counted(predict: Neighbors, batches: Iterable[Batch], input_name: str, both_sides: bool) -> Iterator[dict[str, int]]:
    """The number of targets of each row that are predicted correctly from their neighbors.

    input_name: of the tokens at the positions of the targets. both_sides: a target is masked between two tokens; otherwise it follows the
    token at its position.
    """
    for batch in batches:
        rows = zip(batch["@rows"].numbers, batch[input_name].tolist(), batch["targets"].tolist(), strict=True)
        for number, ids, targets in rows:
            right = total = 0
            for place, target in enumerate(targets):
                if target != IGNORED:
                    around = (ids[place - 1] if place else None, ids[place + 1] if place + 1 < len(ids) else None)
                    sides = around if both_sides else (ids[place], None)
                    right += predict(*sides) == target
                    total += 1
            yield {"row": number, "right": right, "tokens": total}
