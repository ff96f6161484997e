"""Settings of completion that are chosen from the training rows. docs/defaults.md says on what data, and what was tried."""

from collections.abc import Iterator

from framework import Defaults, Facts, Setting

LITTLE = 300_000  # characters, of which a vocabulary of pieces would be rare ones
MUCH = 5_000_000  # characters
TOKENS = 2_000_000  # that training reads at the usual effort
MOST = 20  # epochs
OFTEN = 4  # epochs after which a model without dropout repeats its texts


class CompletionDefaults(Defaults):
    """The rules of `task/completion`."""

    def tokenizer_settings(self, facts: Facts) -> Iterator[Setting]:
        if facts.characters < LITTLE:
            yield Setting({"tokenizer": {"is": "bytes"}}, f"{facts.characters:,} characters are too few to learn a vocabulary from")
        elif facts.characters > MUCH:
            yield Setting({"tokenizer": {"is": "bpe", "vocab_size": 4000}}, f"{facts.characters:,} characters")

    def settings(self, facts: Facts) -> Iterator[Setting]:
        epochs = round(max(1, min(MOST, facts.effort * TOKENS / facts.tokens)))
        yield Setting({"trainer": {"max_epochs": epochs}}, f"{facts.tokens:,} tokens in each")
        if epochs >= OFTEN:
            yield Setting({"model": {"dropout": 0.1}}, f"each text is read {epochs} times")
