"""A few rows for each format, so that a test need not make those that are built in."""

from framework.registry import Part

SENTENCES = ["a good day it was", "no", "the second film is longer than the first one", "a dull one", "she came home", "rain"]
ROWS = {
    "task/classification": [{"text": text, "label": "odd" if number % 2 else "even"} for number, text in enumerate(SENTENCES)],
    "task/ner": [{"tokens": text.split(), "tags": ["B-a", *["O"] * text.count(" ")]} for text in SENTENCES],
    "task/summarization": [{"document": text, "summary": text[:4]} for text in SENTENCES],
    "task/translation": [{"source": text, "target": text.upper()} for text in SENTENCES],
    "task/completion": [{"text": text} for text in SENTENCES],
    "task/pretraining": [{"text": text} for text in SENTENCES],
    "format/prompted": [{"prompt": text, "completion": text.upper()} for text in SENTENCES],
}


def few_rows(task: Part):
    """Rows of the format of a task; None for one that is not known here."""
    chosen = task.values.get("format")
    return ROWS.get(chosen.target if chosen is not None and chosen.target in ROWS else task.target)
