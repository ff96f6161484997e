"""Text with markup, for programs that show HTML."""

import html
from collections.abc import Iterable
from zlib import crc32


class Html(str):
    """A text in HTML: trackers that show HTML show it so, others leave it out.

    >>> Html("<b>Paris</b>")
    '<b>Paris</b>'
    """

    __slots__ = ()


def highlighted(text: str, spans: Iterable[tuple[int, int, str]]) -> Html:
    """A text with spans in colors, each with its label behind it. spans: (start, end, label), in characters; none overlap.

    >>> highlighted("in Rome", [(3, 7, "LOC")]).count("mark")
    2
    """
    parts, done = [], 0
    for start, end, label in sorted(spans):
        color = f"hsl({crc32(label.encode()) % 360}, 70%, 85%)"
        marked = f"{html.escape(text[start:end])} <small>{html.escape(label)}</small>"
        parts += [html.escape(text[done:start]), f'<mark style="background: {color}">{marked}</mark>']
        done = end
    return Html("".join([*parts, html.escape(text[done:])]))
