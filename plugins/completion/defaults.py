"""Settings of completion that are chosen from the training rows. docs/defaults.md says on what data, and what was tried."""

import math
from collections.abc import Iterator

from framework import Defaults, Facts, Setting

LITTLE = 300_000  # characters, of which a vocabulary of pieces would be rare ones
MUCH = 5_000_000  # characters
TOKENS = 600_000  # that training reads at the usual effort
MOST = 20  # epochs
OFTEN = 4  # epochs after which a model without dropout repeats its texts
COUNTED = 2_000_000  # tokens; from more text a model alone learns what counts of n-grams tell
WORDS = 2500  # entries of a vocabulary, for each of which n-grams need a probability at every token
STEP = 1024  # tokens of a batch where there are few tokens


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
            yield Setting({"model": {"dropout": 0.2}}, f"each text is read {epochs} times")
        if facts.tokens <= COUNTED:
            yield Setting({"data": {"batches": {"is": "packed", "budget": STEP}}}, "few tokens: small batches give more steps")
            if facts.vocabulary <= WORDS:
                yield ngrams(facts)


def ngrams(facts: Facts) -> Setting:
    """n-grams of about six characters or more with any tokenizer, and a table in which few of them share an entry."""
    longest = 6 if facts.characters < 1.5 * facts.tokens else 4
    buckets = 2 ** min(24, max(16, math.ceil(math.log2(16 * facts.tokens))))
    values = {"task": {"ngrams": longest, "ngram_buckets": buckets}}
    return Setting(values, "on little text a model learns faster beside counts of n-grams", beside={"model": "tiny_decoder"})
