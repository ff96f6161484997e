"""Settings of pretraining that are chosen from the training rows. docs/defaults.md says on what data, and what was tried."""

from collections.abc import Iterator

from framework import Defaults, Facts, Setting

LITTLE = 2_000_000  # characters: below, a model learns more of bytes than of rare pieces
MUCH = 5_000_000  # characters
TOKENS = 1_000_000  # that training reads at the usual effort
MOST = 20  # epochs
STEP = 1024  # tokens of a batch where there are few
FEW = 2_000_000  # tokens of an epoch


class PretrainingDefaults(Defaults):
    """The rules of `task/pretraining`."""

    def tokenizer_settings(self, facts: Facts) -> Iterator[Setting]:
        if facts.characters >= LITTLE:
            pieces = 4000 if facts.characters > MUCH else 2000
            yield Setting({"tokenizer": {"is": "bpe", "vocab_size": pieces}}, f"{facts.characters:,} characters")

    def settings(self, facts: Facts) -> Iterator[Setting]:
        epochs = round(max(1, min(MOST, facts.effort * TOKENS / facts.tokens)))
        yield Setting({"trainer": {"max_epochs": epochs}}, f"{facts.tokens:,} tokens in each")
        if facts.tokens <= FEW:
            yield Setting({"data": {"batches": {"is": "packed", "budget": STEP}}}, "few tokens: small batches give more steps")
