"""Excerpts of texts for the terminal."""


def excerpt(text: str, width: int = 110) -> str:
    """A text on one line of at most so many characters."""
    text = text.replace("\n", "\\n")
    return text if len(text) <= width else f"{text[: width - 1]}…"
