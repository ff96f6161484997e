"""From a source to batches: the order in which data becomes numbers, and everything a run needs of it afterward."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framework.data import cache
from framework.data.encoding import Encoded, encode
from framework.data.fingerprints import code_of, digest, values_of
from framework.data.formats import Format, Row
from framework.data.sources.base import Source, error_context
from framework.data.spec import DataSpec
from framework.data.tokenization.tokenizer import Tokenizer
from framework.data.tokenization.trainers import TokenizerTrainer
from framework.data.windows import Examples, RowExamples, WindowExamples
from framework.errors import UserError

if TYPE_CHECKING:
    from framework.data.loader import BatchLoader


@dataclass
class Prepared:
    """Data that is ready for a model: data spec, tokenizer and encoded splits."""

    source: Source
    format: Format
    tokenizer: Tokenizer
    spec: DataSpec
    encoded: dict[str, Encoded]

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self.encoded)

    @property
    def sizes(self) -> dict[str, dict[str, int]]:
        """For each split its rows, their tokens, and how many rows the format dropped and shortened."""
        return {
            split: {"rows": len(data), "tokens": int(data.lengths.sum()), "dropped": data.dropped, "truncated": data.truncated}
            for split, data in self.encoded.items()
        }

    def rows(self, split: str) -> Iterator[Row]:
        """The rows as the source reads them, one by one."""
        return (row for row, _ in self.source.rows(split))

    def examples(self, split: str, shuffle: bool) -> Examples:
        """What batches are made of. Running text becomes windows: of all of it where it is packed, else of each row."""
        if not self.format.stream:
            return RowExamples(self.encoded[split])
        length, batches = self.format.window(self.spec), self.source.batches
        circular = shuffle and batches.packs
        return WindowExamples(self.encoded[split], length, circular, batches.packs, batches.isolated, batches.stride)

    def count(self, split: str) -> int | None:
        """How many examples a pass over a split has; None where there is no such split."""
        return len(self.examples(split, shuffle=False).lengths) if split in self.encoded else None

    def loader(self, split: str, shuffle: bool | None = None, rank: int = 0, world_size: int = 1, seed: int = 0) -> "BatchLoader":
        """Batches of a split for one rank. Training is shuffled and has no raw rows; evaluation is neither and has them."""
        from framework.data.loader import BatchDataset, BatchLoader, ShardedBatchSampler  # preparing needs no torch

        training = split == "train"
        shuffle = training if shuffle is None else shuffle
        examples, batches = self.examples(split, shuffle), self.source.batches
        dataset = BatchDataset(examples, self.format, self.spec, seed, raw=not training)
        steps = ShardedBatchSampler(
            lambda epoch: batches.plan_batches(examples.lengths, seed, epoch, world_size, shuffle), rank, world_size
        )
        return BatchLoader(dataset, steps, self.source.workers)


def prepare(
    source: Source,
    tokenizer: TokenizerTrainer,
    format: Format,
    max_length: int,
    folder: Path | None = None,
    splits: Iterable[str] | None = None,
) -> Prepared:
    """Source -> tokenizer -> fit -> spec -> encoded splits. Each step comes from the cache where it was made before.

    folder: a run, whose tokenizer.json and data_spec.json are taken instead of learned. splits: those wanted; None = all there are.
    """
    if source.batches.packs and not format.stream:
        raise UserError(f"data/batches=packed needs running text, and {type(format).__name__} has rows of their own; data/batches=buckets")
    source.check()
    wanted = source.splits if splits is None else tuple(split for split in source.splits if split in set(splits))
    if folder is not None:
        text, spec = Tokenizer.load(folder / "tokenizer.json"), DataSpec.load(folder / "data_spec.json")
    elif "train" in source.splits:
        text = trained(source, tokenizer, format)
        spec = data_spec_of(text, max_length, statistics(source, format), format.special_tokens)
    else:
        given = ", ".join(source.splits) or "nothing"
        raise UserError(f"there is nothing to learn from: the data has {given}, and no training part (data.train=...)")
    return Prepared(source, format, text, spec, {split: encode(source, split, format, text, spec) for split in wanted})


def trained(source: Source, trainer: TokenizerTrainer, format: Format) -> Tokenizer:
    """The tokenizer of the training texts, with the special tokens that the format asks for; jobs with the same texts and settings
    share one."""
    if not trainer.needs_texts:
        return trainer.train(lambda: iter(())).with_special_tokens(format.special_tokens)

    def texts() -> Iterator[str]:
        for row, where in source.rows("train"):
            with error_context(where):
                read = list(format.tokenizer_texts(row))
            yield from read

    def write(folder: Path) -> None:
        trainer.train(texts).with_special_tokens(format.special_tokens).save(folder / "tokenizer.json")

    key = digest([source.fingerprint("train"), trainer.origin(), code_of(trainer), values_of(format), code_of(format)])
    return Tokenizer.load(cache.entry("tokenizers", key, write) / "tokenizer.json")


def statistics(source: Source, format: Format) -> dict[str, Any]:
    """What the format learns from the training rows."""
    where = ""

    def rows() -> Iterator[Row]:
        nonlocal where
        for row, where in source.rows("train"):  # noqa: B007 - read below, when `fit` complains about the row
            yield row

    def write(folder: Path) -> None:
        with error_context(lambda: where):
            found = format.fit(rows())
        (folder / "statistics.json").write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")

    key = digest([source.fingerprint("train"), values_of(format), code_of(format)])
    return dict(json.loads((cache.entry("statistics", key, write) / "statistics.json").read_text(encoding="utf-8")))


def data_spec_of(tokenizer: Tokenizer, max_length: int, statistics: dict[str, Any], special_tokens: Sequence[str] = ()) -> DataSpec:
    """The data spec of a tokenizer and of what `Format.fit` returned. special_tokens: those that the format asks for."""
    special = dict(tokenizer.special_ids)
    padding = special.pop("padding")
    return DataSpec(
        tokenizer.vocab_size,
        max_length,
        0 if padding is None else padding,  # a published tokenizer may have none; the padding mask then makes any id do
        **special,
        special_ids=tuple(id for token in special_tokens if (id := tokenizer.backend.token_to_id(token)) is not None),
        labels=tuple(statistics.get("labels", ())),
        statistics={name: value for name, value in statistics.items() if name != "labels"},
    )
