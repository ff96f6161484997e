"""Explanations in full precision: JSON and CSV."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from framework.explaining.explanation import Explanation, Shared
from framework.utils.json_text import to_json


def as_json(texts: Sequence[Explanation], common: Sequence[Shared]) -> str:
    """Every weight, the cosine of every word with its embedding, and the words that two texts have in common."""
    content = {
        "texts": [_text(one) for one in texts],
        "common words": [
            {
                "word": each.text,
                "places": list(each.places),
                "cosine": each.similarity.tolist(),
                "nearest": [dict(near) for near in each.nearest],
            }
            for each in common
        ],
    }
    return to_json(content, indent=1) + "\n"


def as_csv(texts: Sequence[Explanation]) -> str:
    """A row for each weight."""
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\n")
    rows.writerow(["text", "stack", "attention", "layer", "head", "query", "query token", "key", "key token", "weight"])
    for number, one in enumerate(texts, 1):
        for each in one.attention:
            for head, weights in enumerate(each.weights.tolist(), 1):
                for query, row in enumerate(weights):
                    for key, weight in enumerate(row):
                        pair = (query + 1, one.tokens[each.stack][query], key + 1, one.tokens[each.keys][key])
                        rows.writerow([number, each.stack, each.kind, each.layer, head, *pair, repr(weight)])
    return written.getvalue()


def _text(one: Explanation) -> dict[str, Any]:
    return {
        "text": one.text,
        "answer": dict(one.answer),
        "tokens": dict(one.tokens),
        "attention": [
            {"stack": each.stack, "attention": each.kind, "layer": each.layer, "keys of": each.keys, "weights": each.weights.tolist()}
            for each in one.attention
        ],
        "words": [
            {"word": word.text, "tokens": [place + 1 for place in word.tokens], "cosine with embedding": column}
            for word, column in zip(one.words[one.reading], one.moves().T.tolist(), strict=True)
        ],
    }
