"""The page and the pictures of an explanation."""

from collections.abc import Iterator, Sequence

from framework.explaining.explanation import Explanation, Shared
from framework.explaining.said import said
from framework.reporting import page
from framework.reporting.attention import attention_pictures, moves_picture, shared_picture
from framework.reporting.drawing import Picture


def explain_pictures(texts: Sequence[Explanation], common: Sequence[Shared], layer: int | None, head: int | None) -> Iterator[Picture]:
    """The pictures of one text, or of two and the words that they have in common."""
    for number, one in enumerate(texts, 1):
        name = "attention" if len(texts) == 1 else f"text{number}_attention"
        yield from attention_pictures(one, layer, head, name)
        if len(texts) == 1 and (moves := moves_picture(one)):
            yield moves
    if found := shared_picture(common):
        yield found


def explain_page(texts: Sequence[Explanation], common: Sequence[Shared], layer: int | None, head: int | None) -> str:
    """One HTML file with what the terminal shows, and the pictures."""
    pictures = list(explain_pictures(texts, common, layer, head))
    words = said(texts[0], texts[1] if len(texts) > 1 else None, common, layer, head)
    return page.html_page(
        " / ".join(one.text for one in texts),
        page.section("Words", page.figures(pictures, "words", "moves")),
        *(page.section(one.text, page.figures(pictures, name)) for one, name in zip(texts, _names(texts), strict=True)),
        page.section("In figures", page.preformatted(words)),
    )


def _names(texts: Sequence[Explanation]) -> list[str]:
    return ["attention"] if len(texts) == 1 else [f"text{number}_attention" for number in range(1, len(texts) + 1)]
