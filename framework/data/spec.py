"""DataSpec: sizes, special token ids and labels of the data; fixed before the model is built and saved with the run."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from framework.utils.files import write_text


@dataclass(frozen=True)
class DataSpec:
    """All that models and tasks know of the data, JSON-able.

    vocab_size: number of token ids. max_length: longest input of the model in tokens (the model's own option).
    padding, begin, end, unknown, mask: ids of special tokens (BERT's [CLS] is begin, its [SEP] is end).
    start: decoder_start_token_id of `transformers`, where a decoder starts from neither begin nor padding (BART: from end).
    special_ids: ids of `Format.special_tokens` in their order (T5's sentinels).
    labels: label names in the order of their ids. statistics: other results of `Format.fit`.

    >>> spec = DataSpec(vocab_size=261, max_length=512, begin=1, end=2, labels=("negative", "positive"))
    >>> spec.decoder_start, spec.labels.index("positive")
    (1, 1)
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
        """First input of a decoder. T5 has no begin token and starts from padding (Raffel et al. 2020)."""
        return next((id for id in (self.start, self.begin) if id is not None), self.padding)

    @property
    def prefix(self) -> tuple[int, ...]:
        """Prefix of source and target texts. If a decoder starts from a token that is neither begin nor padding, texts begin with the begin
        token (BART: <s> text </s>, decoded from </s>; Lewis et al. 2020, https://arxiv.org/abs/1910.13461)."""
        return () if self.begin is None or self.start in (None, self.begin, self.padding) else (self.begin,)

    def save(self, path: Path) -> None:
        write_text(path, json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, path: Path) -> "DataSpec":
        values = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**values, "labels": tuple(values["labels"]), "special_ids": tuple(values["special_ids"])})
