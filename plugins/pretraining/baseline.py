"""What counting neighbors already gives."""

from collections import Counter
from collections.abc import Iterable, Sequence

from framework.data.formats import Batch
from framework.tasks.cross_entropy import IGNORED

PRIOR = 1.0  # what the frequency of a token counts, in neighbors seen
CANDIDATES = 20  # of each side: one of them is all but surely the best

Beside = dict[int, Counter[int]]  # token -> the tokens beside it


class Neighbors:
    """Which token stands between two others, by how often each stands beside them.

    P(x | left, right) ~ P(x | left) P(right | x), each mixed with the frequency of its token; a neighbor that is hidden says nothing.
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
        self.followers = {token: likely(found) for token, found in self.after.items()}
        self.leaders = {token: likely(found) for token, found in self.before.items()}

    def __call__(self, left: int | None, right: int | None) -> int:
        left, right = (None if token in self.hidden else token for token in (left, right))
        candidates = dict.fromkeys((*self.followers.get(left, ()), *self.leaders.get(right, ()), *self.frequent))  # type: ignore[arg-type]
        return max(candidates, key=lambda token: self._score(token, left, right))

    def _score(self, token: int, left: int | None, right: int | None) -> float:
        score = self._share(token) if left is None else self._follows(left, token)
        return score if right is None else score * self._follows(token, right)

    def _follows(self, left: int, right: int) -> float:
        seen = self.after[left][right] if left in self.after else 0
        return (seen + PRIOR * self._share(right)) / (self.count[left] + PRIOR)

    def _share(self, token: int) -> float:
        return (self.count[token] + 1) / (self.total + 1)


def likely(found: Counter[int]) -> list[int]:
    return [token for token, _ in found.most_common(CANDIDATES)]


def accuracy(tell: Neighbors, batches: Iterable[Batch], read: str, both: bool) -> float:
    """The share of targets told from their neighbors. read: name of the tokens that stand where the targets do. both: a target is hidden
    between two tokens; otherwise it follows the token that stands where it does."""
    right = total = 0
    for batch in batches:
        for ids, targets in zip(batch[read].tolist(), batch["targets"].tolist(), strict=True):
            for place, target in enumerate(targets):
                if target != IGNORED:
                    around = (ids[place - 1] if place else None, ids[place + 1] if place + 1 < len(ids) else None)
                    sides = around if both else (ids[place], None)
                    right += tell(*sides) == target
                    total += 1
    return right / total if total else float("nan")
