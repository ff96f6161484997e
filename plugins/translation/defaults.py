"""Settings of translation that are chosen from the training rows. docs/defaults.md says on what data, and what was tried."""

import math
from collections.abc import Iterator

from framework import Defaults, Facts, Setting

WHOLE = 0.98  # share of the pairs that are read whole, if that takes no more than LONGEST tokens
SHORTEST, LONGEST = 64, 512
MUCH = 10_000_000  # characters
PIECES = 8000
TOKENS = 120_000  # that training reads at the usual effort
FEWEST, MOST = 1, 5  # epochs
FEW = 200_000  # tokens of an epoch
STEP = 512  # tokens of a batch where there are few
SHOWN = 50  # validation rows that are translated
COUNTED = 1_000_000  # tokens of an epoch, above which a model alone learns what counts tell
TRANSLATIONS = 16  # of each token
NGRAMS = 3  # tokens
OUTPUT_SCALE = 0.09  # the model adds little to the lexicon and the n-grams before it has learned


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
        yield Setting({"task": {"validation_rows": SHOWN}}, "the loss chooses the checkpoint, so few translations are made before the end")
        if facts.tokens < FEW:
            yield Setting({"data": {"batches": {"is": "buckets", "budget": STEP}}}, "few tokens: small batches give more steps")
        values = {"task": {"lexicon": TRANSLATIONS, "decoding": {"is": "beam_5"}}, "model": {"output_scale": OUTPUT_SCALE}}
        reason = "a lexicon of the pairs tells the words, which a model learns from many more of them"
        yield Setting(values, reason, beside={"model": "tiny_encoder_decoder"})
        if facts.tokens < COUNTED:
            entries = 2 ** math.ceil(math.log2(2 * facts.tokens + 1))
            values = {"task": {"ngrams": NGRAMS, "ngram_entries": entries}}
            yield Setting(values, "counts of n-grams tell their order", beside={"model": "tiny_encoder_decoder"})
