"""Generated problems that show what a part of a model can do: recall, copying, selective copying, parity, modular addition, Dyck-2.

A problem draws a row of a given length. Words are separated by blanks; those of the output that `given` counts (from 0) are inputs alone.
"""

from collections.abc import Callable
from random import Random

from framework import Row

BLANK = "."  # a word that selective copying leaves out
CLOSING = {"(": ")", "[": "]"}


def recall(random: Random, length: int, symbols: int) -> Row:
    """Multi-query associative recall: `length` pairs of a key and a value, then as many keys, drawn from these, each to be followed by its
    value. Arora et al. 2023, section 3.1, https://arxiv.org/abs/2312.04927"""
    keys = random.sample(range(symbols), length)
    value_of = {f"k{key}": f"v{random.randrange(symbols)}" for key in keys}
    asked = random.choices(list(value_of), k=length)  # of keys that are asked once each, the last ones would follow from the others
    pairs, answers = ([f"{key} {value_of[key]}" for key in several] for several in (value_of, asked))
    return {"input": " ".join(pairs), "output": " ".join(answers), "given": list(range(0, 2 * length, 2))}


def copying(random: Random, length: int, symbols: int) -> Row:
    """The input again."""
    text = " ".join(_words(random, length, symbols))
    return {"input": text, "output": text}


def selective_copying(random: Random, length: int, symbols: int) -> Row:
    """The words of the input without the blanks between them, which are twice as many. Jing et al. 2019; Gu and Dao 2023, section 3.1,
    https://arxiv.org/abs/2312.00752"""
    words = _words(random, length, symbols)
    places = sorted(random.sample(range(3 * length), length))
    spread = [BLANK] * 3 * length
    for place, word in zip(places, words, strict=True):
        spread[place] = word
    return {"input": " ".join(spread), "output": " ".join(words)}


def parity(random: Random, length: int, symbols: int) -> Row:
    """Whether the ones among `length` bits are even or odd. Hahn 2020, https://aclanthology.org/2020.tacl-1.11"""
    bits = [random.randrange(2) for _ in range(length)]
    return {"input": " ".join(map(str, bits)), "output": "odd" if sum(bits) % 2 else "even"}


def modular_addition(random: Random, length: int, symbols: int) -> Row:
    """The sum of `length` numbers modulo the number of symbols."""
    numbers = [random.randrange(symbols) for _ in range(length)]
    return {"input": " ".join(map(str, numbers)), "output": str(sum(numbers) % symbols)}


def dyck(random: Random, length: int, symbols: int) -> Row:
    """The brackets that close a sequence of two kinds of brackets, a prefix of a word of Dyck-2. Hewitt et al. 2020,
    https://aclanthology.org/2020.emnlp-main.156"""
    open_brackets: list[str] = []
    words = []
    for _ in range(length):
        if len(open_brackets) > 1 and random.random() < 0.5:
            words.append(CLOSING[open_brackets.pop()])
        else:
            open_brackets.append(random.choice(list(CLOSING)))
            words.append(open_brackets[-1])
    return {"input": " ".join(words), "output": " ".join(CLOSING[bracket] for bracket in reversed(open_brackets))}


PROBLEMS: dict[str, Callable[[Random, int, int], Row]] = {
    each.__name__: each for each in (recall, copying, selective_copying, parity, modular_addition, dyck)
}


def _words(random: Random, length: int, symbols: int) -> list[str]:
    return [f"w{random.randrange(symbols)}" for _ in range(length)]
