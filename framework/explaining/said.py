"""Explanations in the terminal: where the heads look, a map in shaded blocks, and how words move."""

import json
import sys
from collections.abc import Sequence

from framework.comparing import tables
from framework.errors import UserError
from framework.explaining.explanation import Explanation, Shared
from framework.explaining.heads import Look, chosen, looks
from framework.explaining.recording import HeadWeights
from framework.utils.excerpt import excerpt

SHADES, ASCII = " ░▒▓█", " .:+#"
HEADS, DRAWN, WORDS = 24, 32, 24  # heads in a table, tokens in a map, words: all are in the file of to=


def said(one: Explanation, other: Explanation | None, common: Sequence[Shared], layer: int | None = None, head: int | None = None) -> str:
    """The explanation of a text, or of two. layer, head: of the map. UserError: there is no such layer or head."""
    lines = _attention(one, layer, head)
    if other is None:
        return "\n".join([*lines, "", *_moves(one)])
    return "\n".join([*lines, "", *_attention(other, layer, head), "", *_shared(one, other, common)])


def _attention(one: Explanation, layer: int | None, head: int | None) -> list[str]:
    count = len(one.tokens[one.reading])
    lines = [f"text        {excerpt(one.text)}   ({count} tokens)", f"prediction  {_answer(one)}"]
    if one.windows > 1:
        lines.append(f"the text is longer than the model reads at once; this is the first of its {one.windows} windows")
    if one.recording.without:
        lines.append(f"{', '.join(one.recording.without)} has no weights to show: it has no scores, or does not hand them over")
    if not one.attention:
        return lines
    rows = [(each, look) for each in one.attention for look in looks(each)]
    shown = sorted(sorted(rows, key=lambda row: -row[1].most)[:HEADS], key=rows.index)
    head_line = ["attention", "layer", "head", "itself", "before", "behind", "first", "keys", "most", ""]
    lines += ["", *tables.terminal(head_line, [_head(one, *row) for row in shown], 1)]
    lines.append("(mean share of the token itself, of the one before, behind, the first; keys that share the weight; largest on another)")
    if len(shown) < len(rows):
        lines.append(f"({len(rows) - len(shown)} of {len(rows)} heads, with smaller weights, are not shown; to=FILE.csv has all)")
    maps = chosen(one.attention, layer, head)
    if not maps:
        layers = max(each.layer for each in one.attention)
        heads = max(len(each.weights) for each in one.attention)
        raise UserError(f"layer={layer or ''} head={head or ''}: the model has the layers 1 to {layers} and the heads 1 to {heads}")
    for name, each, weights in maps:
        lines += ["", f"{name}; a row is a token that looks, the darkest is {weights.max():.2f}"]
        lines += _map(one.tokens[each.stack], one.tokens[each.keys], weights.tolist())
    return lines


def _head(one: Explanation, each: HeadWeights, look: Look) -> list[str]:
    beside = ["" if share != share else f"{share:.2f}" for share in (look.itself, look.before, look.behind)]
    pair = f"{one.tokens[each.stack][look.query]} -> {one.tokens[each.keys][look.key]}"
    numbers = [str(each.layer), str(look.head), *beside, f"{look.first:.2f}", f"{look.spread:.1f}", f"{look.most:.2f}"]
    return [f"{each.stack} {each.kind}", *numbers, pair]


def _map(queries: Sequence[str], keys: Sequence[str], weights: Sequence[Sequence[float]]) -> list[str]:
    """A map in shaded blocks, relative to its largest weight; the columns are the keys, by their numbers."""
    most = max(max(row) for row in weights) or 1.0
    width = max(len(token) for token in queries[:DRAWN])
    lines, marks = [], SHADES if _takes(SHADES) else ASCII
    if list(queries) != list(keys):
        lines.append("keys: " + "  ".join(f"{number} {token}" for number, token in enumerate(keys[:DRAWN], 1)))
    lines.append(" " * (width + 5) + "".join(f"{number % 100:>2}" for number in range(1, min(len(keys), DRAWN) + 1)))
    for number, (token, row) in enumerate(zip(queries[:DRAWN], weights, strict=False), 1):
        shades = "".join(2 * marks[min(len(marks) - 1, int(weight / most * len(marks)))] for weight in row[:DRAWN])
        lines.append(f"{number:>3} {token:<{width}} {shades.rstrip()}")
    if max(len(queries), len(keys)) > DRAWN:
        lines.append(f"(the first {DRAWN} of {max(len(queries), len(keys))} tokens; to=FILE has all)")
    return lines


def _takes(text: str) -> bool:
    """Whether standard output has the letters of a text."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _moves(one: Explanation) -> list[str]:
    """Distance of the vector of each word from its embedding, by layer."""
    found, moves = one.words[one.reading], one.moves()
    if not found:
        return ["the text has no words whose vectors could be followed"]
    rows = [[word.text, *(f"{value:.2f}" for value in moves[:, place])] for place, word in enumerate(found[:WORDS])]
    head = ["word", *(["embedding"] + [f"layer {number}" for number in range(1, len(moves))])]
    more = [f"(the first {WORDS} of {len(found)} words; to=FILE has all)"] if len(found) > WORDS else []
    return ["cosine of the vector of each word with its embedding, layer by layer", *tables.terminal(head, rows, 1), *more]


def _shared(one: Explanation, other: Explanation, common: Sequence[Shared]) -> list[str]:
    if not common:
        return ["the two texts have no word in common"]
    head = ["word", "embedding", *(f"layer {number}" for number in range(1, len(common[0].similarity))), "nearest in text", "in text2"]
    rows = [[each.text, *(f"{value:.2f}" for value in each.similarity), *map(_near, each.nearest)] for each in common[:WORDS]]
    more = [f"(the first {WORDS} of {len(common)} words; to=FILE has all)"] if len(common) > WORDS else []
    title = "words in both texts: cosine of their two vectors, layer by layer, and the words nearest to each after the last layer"
    return [title, *tables.terminal(head, rows, 1), *more]


def _near(words: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{word} {score:.2f}" for word, score in words)


def _answer(one: Explanation) -> str:
    prediction = one.answer.get("prediction")
    score = one.answer.get("score")
    text = prediction if isinstance(prediction, str) else json.dumps(prediction, ensure_ascii=False)
    return excerpt(text) + (f"  ({score:.3f})" if isinstance(score, float) else "")
