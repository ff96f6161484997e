"""DataSpec: sizes, special token ids and labels of the data; fixed before the model is built and saved with the run."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from framework.errors import UserError
from framework.utils.files import write_text
from framework.utils.json_files import read_table
from framework.utils.typed import check_fields, fits, name_of, require, shown

_ROLES = ("padding", "begin", "end", "unknown", "mask", "start")


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
        """UserError: the file is missing or damaged, a field has another type, or an id is none of the vocabulary."""
        types = get_type_hints(cls)
        values = read_table(path)
        require(values, {name: types[name] for name in ("vocab_size", "max_length")}, path)
        check_fields(values, types, path)
        known = {name: values[name] for name in types if name in values}
        spec = cls(**{**known, **{name: tuple(known.get(name, ())) for name in ("labels", "special_ids")}})
        if min(spec.vocab_size, spec.max_length) < 1:
            raise UserError(f"{path}: vocab_size is {spec.vocab_size} and max_length {spec.max_length}; both must be at least 1")
        ids = {role: getattr(spec, role) for role in _ROLES} | {f"special_ids[{number}]": id for number, id in enumerate(spec.special_ids)}
        for role, id in ids.items():
            if id is not None and not 0 <= id < spec.vocab_size:
                raise UserError(f"{path}: {role} is {id}, and the ids of this vocabulary are 0 to {spec.vocab_size - 1:,}")
        return spec

    def statistic(self, name: str, type: Any) -> Any:
        """A result of `Format.fit`. type: see `framework.utils.typed.check_fields`. UserError: the data spec of a run lacks it, or has
        another type.

        >>> DataSpec(vocab_size=261, max_length=512, statistics={"mean": 2.5}).statistic("mean", float)
        2.5
        """
        value = self.statistics.get(name)
        if not fits(value, type):
            raise UserError(f"data_spec.json: {name} in statistics is {shown(value)} and must be {name_of(type)}")
        return value
