"""Pairs of texts made from captions and summaries, to measure defaults on: `python benchmarks/pairs.py CAPTIONS SUMMARIES FOLDER`.

CAPTIONS: English sentences, one a line (Multi30k). SUMMARIES: JSON lines with summary1, summary2 and summary3 of one dialogue each (the
test part of DialogSum). FOLDER gets {similarity,entailment,references}-{train,validation,test}.jsonl with text, second and label. The first
two are made by edits of captions, whose kinds and number decide the label, with noise: they are no judgments of people. In the third both
texts are written by people: of the same dialogue, or of the one with the most words in common.
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from math import log
from pathlib import Path
from random import Random
from typing import Any

SAME = [
    line.split()
    for line in (
        "man guy gentleman",
        "woman lady",
        "child kid",
        "boy lad",
        "dog puppy",
        "street road",
        "shirt top",
        "bike bicycle",
        "people persons folks",
    )
] + [
    line.split()
    for line in ("large big huge", "small little tiny", "young youthful", "sitting seated", "running jogging", "near by", "building house")
]
OTHER = [
    line.split()
    for line in (
        "man woman boy girl dog",
        "red blue green white black yellow",
        "sitting standing running sleeping jumping",
        "two three four five",
    )
] + [line.split() for line in ("outside inside", "front back", "young old", "large small", "day night", "guitar ball bike camera phone")]
KIND = {"man": "person", "woman": "person", "boy": "child", "girl": "child", "dog": "animal", "guitar": "instrument", "shirt": "garment"}
ADDED = ("in the rain", "for a competition", "with a friend", "to win a prize", "before dinner", "on a sunday", "while music is playing")
ROWS = {"train": 3000, "validation": 500, "test": 1500}
Caption = list[str]


def words(text: str) -> list[str]:
    return re.findall(r"[\w']+|[^\w\s]", text.lower())


def swap(caption: Caption, tables: list[list[str]], random: Random) -> Caption:
    """One word that a table has, by another one of the table."""
    places = [(place, table) for place, word in enumerate(caption) for table in tables if word in table]
    if not places:
        return caption
    place, table = random.choice(places)
    return [*caption[:place], random.choice([word for word in table if word != caption[place]]), *caption[place + 1 :]]


def turned(caption: Caption, random: Random) -> Caption:
    """The part from a preposition on comes first."""
    places = [place for place, word in enumerate(caption) if place > 2 and word in ("in", "on", "at", "near", "with", "while")]
    return [*caption[(place := random.choice(places)) : -1], ",", *caption[:place], "."] if places else caption


def shorter(caption: Caption, random: Random) -> Caption:
    places = [place for place, word in enumerate(caption) if place > 3 and word in ("in", "on", "at", "near", "with", "while", "and")]
    return [*caption[: random.choice(places)], "."] if places else caption


def without(caption: Caption, random: Random) -> Caption:
    """One of the words is left out."""
    place = random.randrange(max(1, len(caption) - 1))
    return caption[:place] + caption[place + 1 :]


def similarity(captions: list[Caption], near: Callable[[int], int], random: Random) -> Iterator[dict[str, Any]]:
    """0 to 5, less for each edit that changes what is said; half a point of noise."""
    for number in range(len(captions)):
        first = captions[number]
        draw = random.random()
        if draw < 0.15:
            second, score = random.choice(captions), 0.2
        elif draw < 0.4:
            second, score = captions[near(number)], 1.4
        else:
            second, score = first, 5.0
            for _ in range(random.randrange(6)):
                edit, cost = random.choice(((0, 0.2), (1, 1.1), (2, 0.1), (3, 0.7), (4, 0.3), (5, 0.5)))
                before = second
                if edit == 0:
                    second = swap(second, SAME, random)
                elif edit == 1:
                    second = swap(second, OTHER, random)
                elif edit == 2:
                    second = turned(second, random)
                elif edit == 3:
                    second = shorter(second, random)
                elif edit == 4:
                    second = without(second, random)
                else:
                    second = [*second[:-1], *random.choice(ADDED).split(), "."]
                score -= cost * (second != before)
        score = min(5.0, max(0.0, score + random.gauss(0, 0.5)))
        yield {"text": " ".join(first), "second": " ".join(second), "label": round(score, 1)}


def entailment(captions: list[Caption], near: Callable[[int], int], random: Random) -> Iterator[dict[str, Any]]:
    for number, first in enumerate(captions):
        label = random.choice(("entailment", "neutral", "contradiction"))
        second = first
        if random.random() < 0.7:
            second = shorter(second, random)
        if random.random() < 0.5:
            second = swap(second, SAME, random)
        if label == "entailment":
            second = [KIND.get(word, word) for word in second] if random.random() < 0.5 else without(turned(second, random), random)
        elif label == "neutral":
            second = captions[near(number)] if random.random() < 0.4 else [*second[:-1], *random.choice(ADDED).split(), "."]
        else:
            changed = swap(second, OTHER, random)
            if random.random() < 0.4 or changed == second:
                verb = next((place for place, word in enumerate(second) if word in ("is", "are") or word.endswith("ing")), 1)
                changed = [*second[:verb], "not", *second[verb:]] if random.random() < 0.7 else ["nobody", *second[verb:]]
            second = changed
        if random.random() < 0.1:
            label = random.choice(("entailment", "neutral", "contradiction"))
        yield {"text": " ".join(first), "second": " ".join(second), "label": label}


def references(dialogues: list[list[str]], random: Random) -> Iterator[dict[str, Any]]:
    near = nearest([words(" ".join(texts)) for texts in dialogues])
    for number, texts in enumerate(dialogues):
        others = dialogues[near(number)]
        for one, other in ((0, 1), (1, 2), (2, 0)):
            yield {"text": texts[one], "second": texts[other], "label": "same"}
            yield {"text": texts[one], "second": random.choice(others), "label": "different"}


def nearest(texts: list[list[str]]) -> Callable[[int], int]:
    """The other text with the most words in common, weighted by their inverse document frequency."""
    found: dict[str, list[int]] = {}
    for number, text in enumerate(texts):
        for word in set(text):
            found.setdefault(word, []).append(number)

    def near(number: int) -> int:
        scores: Counter[int] = Counter()
        for word in set(texts[number]):
            if len(numbers := found[word]) < len(texts) / 10:
                scores.update(dict.fromkeys(numbers, log(len(texts) / len(numbers))))
        del scores[number]
        return max(sorted(scores), key=lambda other: scores[other] / (5 + len(texts[other])), default=(number + 1) % len(texts))

    return near


def main(captions: Path, summaries: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    random = Random(0)
    lines = sorted(set(captions.read_text(encoding="utf-8").splitlines()))
    random.shuffle(lines)
    total = sum(ROWS.values())
    for name, make in (("similarity", similarity), ("entailment", entailment)):
        texts = [words(line) for line in lines[:total]]
        rows = list(make(texts, nearest(texts), random))
        lines = lines[total:]
        begin = 0
        for split, count in ROWS.items():
            write(folder / f"{name}-{split}.jsonl", rows[begin : begin + count])
            begin += count
    dialogues = [json.loads(line) for line in summaries.read_text(encoding="utf-8").splitlines() if line.strip()]
    texts = [[dialogue[f"summary{number}"] for number in (1, 2, 3)] for dialogue in dialogues]
    random.shuffle(texts)
    for split, part in (("train", texts[:300]), ("validation", texts[300:380]), ("test", texts[380:])):
        rows = list(references(part, random))
        random.shuffle(rows)
        write(folder / f"references-{split}.jsonl", rows)


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
