"""Facts of the training rows, and the settings that a task chooses from them (`Task.defaults`)."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from framework.data import cache
from framework.data.fingerprints import code_of, digest, values_of
from framework.data.formats import Format
from framework.data.sources.base import Source, error_context
from framework.data.tokenization.tokenizer import Tokenizer
from framework.utils.phases import phase

SAMPLE, CHARACTERS = 2000, 4_000_000  # rows, and characters, that are tokenized to know lengths: about as many at most
LONGEST = 2**17  # tokens; a longer row counts as one of these


@dataclass(frozen=True)
class Setting:
    """Values of a config chosen from the training rows, and the reason, for the user.

    values: in the grammar of presets, where an option of a slot is written `{"is": NAME}`; values beside `is` belong to that choice, all
        others to whatever is chosen.
    beside: group -> the choice without which the setting makes no sense.

    >>> Setting({"model": {"max_length": 256}}, "97 % of the texts whole").values["model"]["max_length"]
    256
    """

    values: Mapping[str, Any]
    reason: str
    beside: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """Facts of the training rows, known before a model is built.

    rows: their number. characters: of their texts (`Format.tokenizer_texts`). labels: how often each label occurs (`Format.row_labels`).
    lengths: tokens of a sample of the rows, ascending (`Format.length`); targets: those of the texts to generate, ascending
    (`Format.target_length`); vocabulary: number of its entries; all once the tokenizer is there. effort: computing relative to the usual
    that the user asks for.

    >>> facts = Facts(rows=4, characters=100, lengths=[4, 6, 10, 20])
    >>> facts.tokens, facts.length_of(0.75), facts.share_within(10)
    (40, 10, 0.75)
    """

    rows: int
    characters: int
    labels: Mapping[str, int] = field(default_factory=dict)
    lengths: Sequence[int] = ()
    targets: Sequence[int] = ()
    vocabulary: int = 0
    effort: float = 1.0

    @property
    def tokens(self) -> int:
        """Tokens of all rows, as far as the sample tells."""
        return round(self.rows * sum(self.lengths) / max(1, len(self.lengths)))

    def length_of(self, share: float) -> int:
        """The length that this share of the rows does not exceed."""
        return self.lengths[max(0, int(np.ceil(share * len(self.lengths))) - 1)]

    def max_length(self, share: float, shortest: int, longest: int) -> int:
        """The length that this share of the rows does not exceed, as a multiple of 32, at least `shortest` and at most `longest`."""
        return max(shortest, min(longest, -(-self.length_of(share) // 32) * 32))

    def share_within(self, length: int) -> float:
        """The share of rows that are not longer."""
        return float(np.searchsorted(np.asarray(self.lengths), length, side="right")) / len(self.lengths)


class Defaults:
    """Base class of the rules by which a task chooses settings from facts of the training rows. Only a run from random weights on rows of
    the user's own takes them, and only for what neither the command line nor an experiment says.

    >>> class ShortTexts(Defaults):
    ...     def settings(self, facts):
    ...         yield Setting({"model": {"max_length": facts.length_of(0.97)}}, "97% of the texts whole")
    >>> [setting.values for setting in ShortTexts().settings(Facts(rows=4, characters=100, lengths=[4, 6, 10, 20]))]
    [{'model': {'max_length': 20}}]
    """

    def tokenizer_settings(self, facts: Facts) -> Iterable[Setting]:
        """Settings of the tokenizer; lengths in tokens are not known yet."""
        return ()

    def settings(self, facts: Facts) -> Iterable[Setting]:
        """All other settings."""
        raise NotImplementedError


def read_facts(source: Source, format: Format, effort: float) -> Facts:
    """Facts of the training rows of a source, without lengths; kept in the cache."""

    def write(folder: Path) -> None:
        rows = characters = 0
        labels: Counter[str] = Counter()
        with phase("reading the training rows") as reading:
            for row, where in reading.counted(source.rows("train"), like=digest([fingerprint])):
                with error_context(where):
                    texts = list(format.tokenizer_texts(row))
                    labels.update(format.row_labels(row))
                rows += 1
                characters += sum(map(len, texts))
        facts = {"rows": rows, "characters": characters, "labels": dict(sorted(labels.items()))}
        (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")

    fingerprint = source.fingerprint("train")
    key = digest([fingerprint, values_of(format), code_of(format), code_of(Facts)])
    facts = json.loads((cache.entry("facts", key, write) / "facts.json").read_text(encoding="utf-8"))
    return Facts(**facts, effort=effort)


def with_lengths(facts: Facts, source: Source, format: Format, tokenizer: Tokenizer, statistics: dict[str, Any]) -> Facts:
    """Facts with the size of the vocabulary and the lengths of a sample of the rows, evenly spaced."""
    from framework.data.module import data_spec_of

    spec = data_spec_of(tokenizer, LONGEST, statistics, format.special_tokens)
    lengths, targets = [], []
    with phase("measuring the lengths of the training rows", facts.rows) as measuring:
        rows = measuring.counted(source.rows("train"))
        for row, where in _every(rows, max(1, facts.rows // SAMPLE, facts.characters // CHARACTERS)):
            with error_context(where):
                if (features := format.encode(row, tokenizer, spec)) is not None:
                    lengths.append(format.length(features))
                    targets.append(format.target_length(features))
    return replace(facts, lengths=sorted(lengths), targets=sorted(targets), vocabulary=spec.vocab_size)


def _every(rows: Iterable[Any], step: int) -> Iterable[Any]:
    return (row for number, row in enumerate(rows) if number % step == 0)
