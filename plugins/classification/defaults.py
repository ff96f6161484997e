"""Settings of classification that are chosen from the training rows. docs/defaults.md says on what data, and what was tried."""

from collections.abc import Iterator, Mapping

from framework import Defaults, Facts, Setting

WHOLE = 0.97  # share of the texts that is read whole, if that takes no more than LONGEST tokens
SHORTEST, LONGEST = 32, 1024
FEW = 1_000_000  # characters: rarer words of so little text are in the vocabulary as a whole
STEPS = 3_000  # at the usual effort: batches of about 1,000 tokens that training takes at most
FEWEST, MOST, MOST_OF_PAIRS = 3, 40, 6  # epochs
ROWS = 50_000  # that training reads at the usual effort, if MOST epochs have as many
UNEVEN, SKEWED = 0.6, 0.85  # shares of the most frequent label


class ClassificationDefaults(Defaults):
    """The rules of `task/classification`."""

    def tokenizer_settings(self, facts: Facts) -> Iterator[Setting]:
        if facts.characters < FEW:
            yield Setting(
                {"tokenizer": {"is": "wordpiece", "min_frequency": 1}}, f"{facts.characters:,} characters, so each word is a token"
            )

    def settings(self, facts: Facts) -> Iterator[Setting]:
        length = facts.max_length(WHOLE, SHORTEST, LONGEST)
        yield Setting({"model": {"max_length": length}}, f"{facts.share_within(length):.0%} of the texts whole")
        yield from _regularization()
        reason = "a linear model learns from few texts what a network needs many for"
        yield Setting({"task": {"ngrams": 2}}, reason, beside={"model": "tiny_encoder"})
        by_rows, by_cost = facts.effort * ROWS / facts.rows, facts.effort * STEPS * 1000 / facts.tokens
        epochs = round(max(FEWEST, min(MOST, by_rows, by_cost)))
        yield Setting({"trainer": {"max_epochs": epochs}}, f"{facts.rows:,} texts, {facts.tokens:,} tokens in each")
        if epochs > MOST_OF_PAIRS:
            reason = "beside scores of what two texts have in common, more epochs learn pairs by heart"
            yield Setting({"trainer": {"max_epochs": MOST_OF_PAIRS}}, reason, beside={"task/format": "pairs"})
        yield from _of_labels(facts.labels)


def _regularization() -> Iterator[Setting]:
    reason = "what kept a model from learning its texts by heart"
    yield Setting({"task": {"token_dropout": 0.3}}, reason, beside={"tokenizer": "wordpiece"})
    yield Setting({"task": {"dropout": 0.4}}, reason)
    yield Setting({"callbacks": {"average": {"decay": 0.99}}}, reason, beside={"callbacks": "default"})
    yield Setting({"data": {"batches": {"is": "buckets", "budget": 1024}}, "schedule": {"is": "linear", "warmup": 0.1}}, "more steps")


def _of_labels(labels: Mapping[str, int]) -> Iterator[Setting]:
    most = max(labels, key=labels.__getitem__, default="")
    share = labels[most] / sum(labels.values()) if labels else 0.0
    if share > UNEVEN:
        reason = f"{share:.0%} of the texts are {most!r}, and accuracy would favor a checkpoint that predicts nothing else"
        yield Setting({"task": {"target": {"is": "label", "monitor": "f1"}}}, reason)
    if share > SKEWED:
        reason = "or the other labels would hardly be predicted; their scores are then higher than their shares"
        yield Setting({"task": {"target": {"is": "label", "class_weights": "balanced"}}}, reason)
