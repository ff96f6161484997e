"""Summarization keeps the promises of tasks, also on two ranks."""

from framework.testing import TaskPromises


class TestSummarization(TaskPromises):
    task = "task/summarization"
    rows = [
        {"document": f"{word} said {'so and ' * number}so", "summary": f"{word} spoke" if number % 2 else [f"{word} spoke", "so it was"]}
        for number, word in enumerate("one two three four five six seven".split())
    ]
