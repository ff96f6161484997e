"""Settings of transduction that are chosen from the training rows. docs/defaults.md says on what data, and what was tried."""

from collections.abc import Iterator

from framework import Defaults, Facts, Setting

LONGEST = 4096  # tokens of input and output together that are read by default
TOKENS = 3_000_000  # that training reads at the usual effort
FEWEST, MOST = 2, 30  # epochs


class TransductionDefaults(Defaults):
    """The rules of `task/transduction`."""

    def settings(self, facts: Facts) -> Iterator[Setting]:
        length = facts.max_length(1.0, 64, LONGEST)
        yield Setting({"model": {"max_length": 2 * length}}, "rows twice as long as those of the training can be read")
        epochs = round(max(FEWEST, min(MOST, facts.effort * TOKENS / facts.tokens)))
        yield Setting({"trainer": {"max_epochs": epochs}}, f"{facts.tokens:,} tokens in each")
