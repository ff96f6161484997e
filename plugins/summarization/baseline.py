"""What copying the right part of a document already gives."""

import re
from collections.abc import Callable, Iterable
from statistics import median

from framework.data.formats import Row, texts_of
from framework.metrics.rouge import SCORES, Rouge, mean

SENTENCES = 3
WORD = re.compile(r"[A-Za-z0-9]+")


def extracts(train: Iterable[Row], test: Iterable[Row], rouge: Rouge | None = None) -> dict[str, float]:
    """ROUGE of LEAD, as many first words of the document as a training summary has in the middle; and, named so, of the first three
    and of the longest three of its sentences, in their order. Chen et al. 2021, section 4.1, https://aclanthology.org/2021.findings-acl.449

    rouge: how it is measured.
    """
    measure, rows = rouge or Rouge(), list(test)
    length = round(median([len(WORD.findall(summary)) for row in train for summary in texts_of(row, "summary")]))
    methods: dict[str, Callable[[str], str]] = {
        "": lambda document: " ".join(WORD.findall(document)[:length]),
        "lead3_": lambda document: "\n".join(sentences(document)[:SENTENCES]),
        "longest3_": lambda document: "\n".join(longest(sentences(document))),
    }
    figures: dict[str, float] = {}
    for name, method in methods.items():
        scores = [measure.score(method(row["document"]), row["summary"]) for row in rows]
        figures |= {f"{name}{figure}": mean([score[figure] for score in scores]) for figure in SCORES}
    return figures


def sentences(document: str) -> list[str]:
    """Its lines, which are the turns of a dialogue; of a text in one line, its sentences."""
    lines = [line.strip() for line in document.splitlines() if line.strip()]
    return lines if len(lines) > 1 else re.split(r"(?<=[.!?])\s+", document.strip())


def longest(sentences: list[str]) -> list[str]:
    places = sorted(range(len(sentences)), key=lambda place: -len(sentences[place]))[:SENTENCES]
    return [sentences[place] for place in sorted(places)]
