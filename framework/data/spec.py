"""What the data says about itself, fixed before the model is made and saved with the run."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from framework.utils.files import write_text


@dataclass(frozen=True)
class DataSpec:
    """Everything a model or task needs to know of its data; JSON-able.

    vocab_size: entries of the tokenizer. max_length: tokens the model reads at once (the model's own option).
    padding, begin, end, unknown, mask: ids of special tokens (begin serves as BERT's [CLS], end as its [SEP]).
    start: what stands before the first token of a written text, where that is neither of its own (BART: the end token).
    special_ids: ids of the special tokens that the format asked for, in its order (T5's sentinels).
    labels: names in the order of their ids. statistics: what else a format takes from the training rows.
    """

    vocab_size: int
    max_length: int
    padding: int = 0
    begin: int | None = None
    end: int | None = None
    unknown: int | None = None
    mask: int | None = None
    start: int | None = None
    special_ids: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    statistics: dict[str, Any] = field(default_factory=dict)

    @property
    def decoder_start(self) -> int:
        """What a decoder reads first. T5 has no begin token and takes padding (Raffel et al. 2020)."""
        return next((id for id in (self.start, self.begin) if id is not None), self.padding)

    @property
    def prefix(self) -> tuple[int, ...]:
        """What the texts of a pair open with: where a decoder reads first something that is neither, the begin token is part of every text
        (BART: <s> text </s>, written after </s>; Lewis et al. 2020, https://arxiv.org/abs/1910.13461)."""
        return () if self.begin is None or self.start in (None, self.begin, self.padding) else (self.begin,)

    def save(self, path: Path) -> None:
        write_text(path, json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, path: Path) -> "DataSpec":
        values = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**values, "labels": tuple(values["labels"]), "special_ids": tuple(values["special_ids"])})
