"""Settings of summarization that are chosen from the training rows. docs/defaults.md says on what data, and what was tried."""

from collections.abc import Iterator

from framework import Defaults, Facts, Setting

WHOLE = 0.95  # share of the documents that are read whole, if that takes no more than LONGEST tokens
SHORTEST, LONGEST = 64, 512
TOKENS = 600_000  # that training reads at the usual effort
FEWEST, MOST = 2, 8  # epochs


class SummarizationDefaults(Defaults):
    """The rules of `task/summarization`."""

    def settings(self, facts: Facts) -> Iterator[Setting]:
        length = facts.max_length(WHOLE, SHORTEST, LONGEST)
        yield Setting({"model": {"max_length": length}}, f"{facts.share_within(length):.0%} of the documents whole")
        epochs = round(max(FEWEST, min(MOST, facts.effort * TOKENS / facts.tokens)))
        yield Setting({"trainer": {"max_epochs": epochs}}, f"{facts.rows:,} documents, {facts.tokens:,} tokens in each")
        yield Setting({"task": {"copy": True}}, "a model copies what it has not learned to write", beside={"model": "tiny_summarizer"})
