"""Baselines of summarization: extracts of the document."""

import re
from collections.abc import Callable, Iterable
from itertools import islice
from statistics import median
from typing import Any

from framework import Row, split_sentences, texts_of

SENTENCES = 3
LONGEST = 1000  # words of an extract: ROUGE-L takes time and memory by the product of both lengths


def extracts(train: Iterable[Row], test: Iterable[Row], **options: Any) -> dict[str, list[dict[str, Any]]]:
    """The rows of LEAD, as many first words of the document as the median training summary has; and, as lead3 and longest3, of its first
    three and its longest three sentences, all of at most LONGEST words. Chen et al. 2021, section 4.1, https://aclanthology.org/2021.findings-acl.449

    options: of `Rouge`.
    """
    rows = list(test)
    from framework import Rouge

    words = Rouge(**options).words
    length = round(median([len(words(summary)) for row in train for summary in texts_of(row, "summary")]))
    methods: dict[str, Callable[[str], str]] = {
        "": lambda document: " ".join(words(document)[:length]),
        "lead3_": lambda document: "\n".join(sentences(document)[:SENTENCES]),
        "longest3_": lambda document: "\n".join(longest(sentences(document))),
    }
    return {
        name: [{"prediction": first_words(method(row["document"])), "reference": row["summary"]} for row in rows]
        for name, method in methods.items()
    }


def first_words(text: str) -> str:
    """The text up to its word number LONGEST."""
    last = next(islice(re.finditer(r"\S+", text), LONGEST - 1, None), None)
    return text[: last.end()] if last else text


def sentences(document: str) -> list[str]:
    """The lines of a document (the turns of a dialogue); the sentences of a document of one line."""
    lines = [line.strip() for line in document.splitlines() if line.strip()]
    return lines if len(lines) > 1 else split_sentences(document.strip())


def longest(sentences: list[str]) -> list[str]:
    places = sorted(range(len(sentences)), key=lambda place: -len(sentences[place]))[:SENTENCES]
    return [sentences[place] for place in sorted(places)]
