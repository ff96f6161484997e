"""Words of texts as features of a linear model, and what two texts have in common."""

import math
import re
from collections.abc import Callable, Sequence

CHARACTERS = 100_000  # of a text that are read; the model reads fewer
SPELLED = 2_000  # characters whose n-grams are compared
SPELLING = 3  # characters of an n-gram
ALIGNED = 8  # words of each text alone, the first ones, that are paired
NEGATIONS = {"not", "no", "never", "nobody", "nothing", "none", "nor", "neither", "without", "cannot"}


def words(text: str) -> list[str]:
    """Words and runs of punctuation, in lower case, of a longer text those of its first CHARACTERS."""
    return re.findall(r"[\w']+|[^\w\s]+", text[:CHARACTERS].lower())


def features(text: str) -> set[str]:
    """The words and pairs of words of a text."""
    return {*(found := words(text)), *pairs_of(found)}


def pairs_of(found: Sequence[str]) -> list[str]:
    return [f"{first} {second}" for first, second in zip(found, found[1:], strict=False)]


class PairWords(set[str]):
    """The words and word pairs of two texts: `both`, `first` or `second` before each says which text has it; and pairs of a word of the
    first text alone with one of the second alone. Cross-unigrams: Bowman et al. 2015, section 4.1, https://aclanthology.org/D15-1075

    >>> sorted(PairWords("A man", "a dog"))
    ['both a', 'cross man > dog', 'first a man', 'first man', 'second a dog', 'second dog']
    """

    def __init__(self, first: str, second: str):
        one, other = words(first), words(second)
        self.sides = set(one), set(other)
        pairs = set(pairs_of(one)), set(pairs_of(other))
        super().__init__(f"both {word}" for side in (self.sides, pairs) for word in side[0] & side[1])
        self.update(f"first {word}" for side in (self.sides, pairs) for word in side[0] - side[1])
        self.update(f"second {word}" for side in (self.sides, pairs) for word in side[1] - side[0])
        alone = [
            list(dict.fromkeys(word for word in text if word not in rest))[:ALIGNED]
            for text, rest in zip((one, other), self.sides[::-1], strict=True)
        ]
        self.update(f"cross {word} > {another}" for word in alone[0] for another in alone[1])
        spelled = [spelling(" ".join(text)) for text in (one, other)]
        ratio = math.log1p(len(one)) - math.log1p(len(other))
        denied = [any(word in NEGATIONS or word.endswith("n't") for word in side) for side in self.sides]
        numbers = [{word for word in side if word.isdigit()} for side in self.sides]
        tests = one == other, one[:1] == other[:1], denied[0] != denied[1], numbers[0] != numbers[1]
        shares = [shares_of(len(left & right), len(left), len(right)) for left, right in (self.sides, pairs, spelled)]
        lonely = [math.log1p(len(self.sides[0] - self.sides[1])), math.log1p(len(self.sides[1] - self.sides[0]))]
        self.plain = [*shares[0], *shares[1], *shares[2], *lonely, ratio, abs(ratio), *map(float, tests)]

    def overlaps(self, rarity: Callable[[str], float]) -> list[float]:
        """Of words, word pairs and n-grams of characters, the share of the first text's that the second has, the reverse, and the Jaccard
        index; the logarithms of how many words each has alone, and of the ratio of the lengths, and its size; whether the texts are equal,
        whether their first words are, whether one alone has a negation, whether they have other numbers; the shares of words weighted by
        rarity. Šarić et al. 2012, section 3, https://aclanthology.org/S12-1060

        rarity: the inverse document frequency of a word.
        """
        one, other = self.sides
        return [*self.plain, *shares_of(*(math.fsum(map(rarity, side)) for side in (one & other, one, other)))]


def spelling(text: str) -> set[str]:
    """n-grams of characters, with a blank at both ends."""
    text = f" {text[:SPELLED]} "
    return {text[place : place + SPELLING] for place in range(len(text) - SPELLING + 1)}


def shares_of(common: float, one: float, other: float) -> list[float]:
    union = one + other - common
    return [common / one if one else 0.0, common / other if other else 0.0, common / union if union else 0.0]
