"""Settings of translation that are chosen from the training rows. docs/defaults.md says on what data, and what was tried."""

from collections.abc import Iterator

from framework import Defaults, Facts, Setting

WHOLE = 0.98  # share of the pairs that are read whole, if that takes no more than LONGEST tokens
SHORTEST, LONGEST = 64, 512
MUCH = 10_000_000  # characters
PIECES = 8000
TOKENS = 200_000  # that training reads at the usual effort
FEWEST, MOST = 2, 15  # epochs
FEW = 200_000  # tokens of an epoch
STEP = 512  # tokens of a batch where there are few
TRANSLATIONS = 16  # of each token


class TranslationDefaults(Defaults):
    """The rules of `task/translation`."""

    def tokenizer_settings(self, facts: Facts) -> Iterator[Setting]:
        if facts.characters < MUCH:
            reason = f"{facts.characters:,} characters; most words of a text are a token, which has an entry in the lexicon"
            yield Setting({"tokenizer": {"is": "bpe", "vocab_size": PIECES}}, reason)

    def settings(self, facts: Facts) -> Iterator[Setting]:
        length = facts.max_length(WHOLE, SHORTEST, LONGEST)
        yield Setting({"model": {"max_length": length}}, f"{facts.share_within(length):.0%} of the pairs whole")
        epochs = round(max(FEWEST, min(MOST, facts.effort * TOKENS / facts.tokens)))
        yield Setting({"trainer": {"max_epochs": epochs}}, f"{facts.rows:,} pairs, {facts.tokens:,} tokens in each")
        if facts.tokens < FEW:
            yield Setting({"data": {"batches": {"is": "buckets", "budget": STEP}}}, "few tokens: small batches give more steps")
        reason = "a lexicon of the pairs tells the words, which a model learns from many more of them"
        yield Setting({"task": {"lexicon": TRANSLATIONS}}, reason, beside={"model": "tiny_encoder_decoder"})
