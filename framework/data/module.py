"""Data preparation: source, tokenizer, statistics, data spec, encoded splits, and their data loaders."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framework.data import cache
from framework.data.encoding import Encoded, encode
from framework.data.fingerprints import code_of, digest, values_of
from framework.data.formats import Format, Row
from framework.data.labels import label_remarks
from framework.data.sources.base import Source, error_context
from framework.data.spec import DataSpec
from framework.data.tokenization.beginning import in_parts
from framework.data.tokenization.tokenizer import Tokenizer
from framework.data.tokenization.trainers import TokenizerTrainer
from framework.data.windows import Examples, RowExamples, WindowExamples
from framework.errors import UserError
from framework.utils.phases import phase

if TYPE_CHECKING:
    from framework.data.loader import BatchLoader


@dataclass
class Prepared:
    """Prepared data: the data spec, the tokenizer and the encoded splits."""

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
        """Number of rows, tokens, unknown tokens, dropped rows and truncated rows of each split."""
        return {
            split: {
                "rows": len(data),
                "tokens": int(data.lengths.sum()),
                "unknown": data.counts["unknown"],
                "dropped": data.dropped,
                "truncated": data.counts["truncated"],
            }
            for split, data in self.encoded.items()
        }

    @property
    def labels(self) -> dict[str, dict[str, int]]:
        """Counts of each label in each split; empty if the rows have none (`Format.row_labels`)."""
        counts = {split: data.labels for split, data in self.encoded.items()}
        return counts if any(counts.values()) else {}

    @property
    def checksums(self) -> dict[str, int]:
        """Checksum of the rows of each evaluation split, which says whether they are the same."""
        return {split: checksum for split, data in self.encoded.items() if (checksum := data.raw_checksum) is not None}

    @property
    def remarks(self) -> list[str]:
        """Sentences about the splits: what the text format and the tokenizer could not express, and labels to look at."""
        lines = [f"{split}: {remark}" for split, data in self.encoded.items() for remark in data.remarks]
        return [*lines, *label_remarks(self.labels)]

    def rows(self, split: str) -> Iterator[Row]:
        """Iterate over the rows of a split as the source reads them."""
        return (row for row, _ in self.source.rows(split))

    def examples(self, split: str, shuffle: bool) -> Examples:
        """The items of batches: rows, or windows of running text, which cross rows if batches are packed."""
        if not self.format.stream:
            return RowExamples(self.encoded[split])
        length, batches = self.format.window(self.spec), self.source.batches
        circular = shuffle and batches.packs
        return WindowExamples(self.encoded[split], length, circular, batches.packs, batches.isolated, batches.stride)

    def count(self, split: str) -> int | None:
        """Number of examples of a split; None if the data has no such split."""
        return len(self.examples(split, shuffle=False).lengths) if split in self.encoded else None

    def loader(
        self,
        split: str,
        shuffle: bool | None = None,
        rank: int = 0,
        world_size: int = 1,
        seed: int = 0,
        unread: Sequence[str] = (),
        pin_memory: bool = False,
    ) -> "BatchLoader":
        """Data loader of a split on one rank. By default only `train` is shuffled. Batches of all other splits have raw rows.

        unread: what the batches of `train` are made without (`Task.read_in_evaluation`). pin_memory: as in `BatchLoader`."""
        from framework.data.loader import BatchDataset, BatchLoader, ShardedBatchSampler  # imports torch, which preparation does not need

        training = split == "train"
        shuffle = training if shuffle is None else shuffle
        examples, batches = self.examples(split, shuffle), self.source.batches
        dataset = BatchDataset(examples, self.format, self.spec, seed, raw=not training, unread=unread if training else ())
        steps = ShardedBatchSampler(
            lambda epoch: batches.plan_batches(examples.lengths, seed, epoch, world_size, shuffle), rank, world_size
        )
        return BatchLoader(dataset, steps, self.source.workers, pin_memory)


def prepare(
    source: Source,
    trainer: TokenizerTrainer,
    format: Format,
    max_length: int,
    folder: Path | None = None,
    splits: Iterable[str] | None = None,
) -> Prepared:
    """Train the tokenizer, fit the text format, make the data spec and encode the splits; results are cached.

    folder: of a run, whose tokenizer.json and data_spec.json are loaded instead. splits: names of splits to encode; None = all.
    """
    if source.batches.packs and not format.stream:
        raise UserError(f"data/batches=packed needs running text, not the separate rows of {type(format).__name__}: data/batches=buckets")
    if folder is None:
        source.check()
    names = source.splits if splits is None else tuple(split for split in source.splits if split in set(splits))
    if folder is not None:
        tokenizer, spec = Tokenizer.load(folder / "tokenizer.json"), DataSpec.load(folder / "data_spec.json")
    elif "train" in source.splits:
        tokenizer = train_tokenizer(source, trainer, format)
        spec = data_spec_of(tokenizer, max_length, fit_statistics(source, format), format.special_tokens)
    else:
        raise UserError(f"the data has no training split, only {', '.join(source.splits) or 'none at all'}: set data.train")
    encoded = {split: encode(source, split, format, tokenizer, spec) for split in names}
    return Prepared(source, format, tokenizer, spec, encoded)


def train_tokenizer(source: Source, trainer: TokenizerTrainer, format: Format) -> Tokenizer:
    """The tokenizer trained on the training texts, with the special tokens of the text format; cached by texts and options."""
    if not trainer.needs_texts:
        return trainer.train(lambda: iter(())).with_special_tokens(format.special_tokens)

    fingerprint = source.fingerprint("train")

    def texts() -> Iterator[str]:
        for row, where in training.counted(source.rows("train"), like=digest([fingerprint])):
            with error_context(where):
                row_texts = list(format.tokenizer_texts(row))
            for text in row_texts:
                yield from in_parts(text)

    def write(folder: Path) -> None:
        trainer.train(texts).with_special_tokens(format.special_tokens).save(folder / "tokenizer.json")

    key = digest([fingerprint, trainer.origin(), code_of(trainer), values_of(format), code_of(format)])
    with phase("training the tokenizer") as training:
        return Tokenizer.load(cache.entry("tokenizers", key, write) / "tokenizer.json")


def fit_statistics(source: Source, format: Format) -> dict[str, Any]:
    """The result of `Format.fit` on the training rows, cached."""
    where, fingerprint = "", source.fingerprint("train")

    def rows() -> Iterator[Row]:
        nonlocal where
        for row, where in reading.counted(source.rows("train"), like=digest([fingerprint])):  # noqa: B007 - used by `write` below, when `fit` raises
            yield row

    def write(folder: Path) -> None:
        with error_context(lambda: where):
            statistics = format.fit(rows())
        (folder / "statistics.json").write_text(json.dumps(statistics, ensure_ascii=False), encoding="utf-8")

    key = digest([fingerprint, values_of(format), code_of(format)])
    with phase("reading the training rows") as reading:
        entry = cache.entry("statistics", key, write)
    return dict(json.loads((entry / "statistics.json").read_text(encoding="utf-8")))


def data_spec_of(tokenizer: Tokenizer, max_length: int, statistics: dict[str, Any], special_tokens: Sequence[str] = ()) -> DataSpec:
    """The data spec of a tokenizer and the statistics of `Format.fit`. special_tokens: `Format.special_tokens`."""
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
