"""Settings of summarization that are chosen from the training rows. docs/defaults.md says on what data, and what was tried."""

import math
from collections.abc import Iterator

from framework import Defaults, Facts, Setting

WHOLE = 0.95  # share of the documents that are read whole, if that takes no more than LONGEST tokens
SHORTEST, LONGEST = 64, 512
TOKENS = 300_000  # that training reads at the usual effort
FEWEST, MOST = 1, 4  # epochs
SHOWN = 20  # validation rows that are summarized
COUNTED = 4_000_000  # tokens of an epoch, above which a model alone learns what counts tell
NGRAMS = 3  # tokens
OUTPUT_SCALE = 0.09  # the model adds little to copies and n-grams before it has learned


class SummarizationDefaults(Defaults):
    """The rules of `task/summarization`."""

    def settings(self, facts: Facts) -> Iterator[Setting]:
        length = facts.max_length(WHOLE, SHORTEST, LONGEST)
        yield Setting({"model": {"max_length": length}}, f"{facts.share_within(length):.0%} of the documents whole")
        epochs = round(max(FEWEST, min(MOST, facts.effort * TOKENS / facts.tokens)))
        yield Setting({"trainer": {"max_epochs": epochs}}, f"{facts.rows:,} documents, {facts.tokens:,} tokens in each")
        yield Setting({"task": {"validation_rows": SHOWN}}, "the loss chooses the checkpoint, so few summaries are made before the end")
        median, longest = (max(1, facts.targets[math.ceil(share * len(facts.targets)) - 1]) for share in (0.5, WHOLE))
        yield Setting({"task": {"max_ratio": 0.0, "max_extra": longest}}, f"{WHOLE:.0%} of the summaries have at most {longest} tokens")
        yield Setting({"task": {"copy": True}}, "a model copies what it has not learned to write", beside={"model": "tiny_summarizer"})
        if facts.tokens < COUNTED:
            entries = 2 ** math.ceil(math.log2(2 * sum(facts.targets) * facts.rows / len(facts.targets) + 1))
            decoding = {"is": "beam_5", "no_repeat_ngram_size": NGRAMS}
            values = {
                "task": {"ngrams": NGRAMS, "ngram_entries": entries, "decoding": decoding},
                "model": {"output_scale": OUTPUT_SCALE},
            }
            yield Setting(values, "counts of n-grams tell what a model learns from many summaries", beside={"model": "tiny_summarizer"})
            values = {"task": {"decoding": {"is": "beam_5", "min_new_tokens": median}}}
            yield Setting(values, "half of the summaries are as long, and few make short texts likely", beside={"model": "tiny_summarizer"})
