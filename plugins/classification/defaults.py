"""Settings of classification that are chosen from the training rows. docs/defaults.md has the data they were chosen on, and what was tried."""

from collections.abc import Iterator, Mapping
from typing import Any

from framework import Facts, Setting

WHOLE = 0.97  # share of the texts that is read whole, if that takes no more than LONGEST tokens
SHORTEST, LONGEST = 32, 1024
FEW = 1_000_000  # characters: rarer words of so little text are in the vocabulary as a whole
STEPS = 3_000  # at the usual effort: batches of about 1,000 tokens that training takes at most
FEWEST, MOST = 3, 40  # epochs
ROWS = 50_000  # that training reads at the usual effort, if MOST epochs have as many
SKEWED = 0.2  # share of the rarest label


def tokenizer_settings(facts: Facts) -> Iterator[Setting]:
    if facts.characters < FEW:
        yield Setting({"tokenizer": {"is": "wordpiece", "min_frequency": 1}}, f"{facts.characters:,} characters, so each word is a token")


def settings(facts: Facts) -> Iterator[Setting]:
    length = max(SHORTEST, min(LONGEST, -(-facts.length_of(WHOLE) // 32) * 32))
    yield Setting({"model": {"max_length": length}}, f"{facts.share_within(length):.0%} of the texts whole")
    yield Setting({"task": {"ngrams": "tfidf"}}, "a linear model learns from few texts what a network needs many for")
    by_rows, by_cost = facts.effort * ROWS / facts.rows, facts.effort * STEPS * 1000 / facts.tokens
    epochs = round(max(FEWEST, min(MOST, by_rows, by_cost)))
    yield Setting({"trainer": {"max_epochs": epochs}}, f"{facts.rows:,} texts, {facts.tokens:,} tokens in each")
    if facts.rarest < SKEWED / len(facts.labels):
        yield _skewed(facts.labels)


def _skewed(labels: Mapping[str, int]) -> Setting:
    rarest: Any = min(labels, key=labels.__getitem__)
    reason = (
        f"{labels[rarest] / sum(labels.values()):.1%} of the texts are {rarest!r}, so accuracy would favor the most frequent label; "
        "task.target.class_weights=balanced weighs all labels alike"
    )
    return Setting({"task": {"target": {"is": "label", "monitor": "f1"}}}, reason)
