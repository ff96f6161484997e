"""Speed of collating, in tokens a CPU-second, as the data loader makes training batches: `python benchmarks/collating.py`.

Rows are made up and encoded already: windows of running text of two lengths, short texts in buckets, pairs of sentences, and sentences
with a tag for each word. A token is counted once, however many features it has, of pairs those of both texts; padding is not counted.
Median of 25 epochs, and with the best time of each batch: a CPU-second does less where other processes use the core's caches.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))  # run from anywhere

import numpy as np  # noqa: E402 - the number of threads is read at import
import torch  # noqa: E402

from framework.data.batches import BucketsBatches, PackedBatches  # noqa: E402
from framework.data.encoding import Encoded
from framework.data.encoding_writer import Writer  # noqa: E402
from framework.data.loader import BatchDataset, ShardedBatchSampler, Step  # noqa: E402
from framework.data.spec import DataSpec  # noqa: E402
from framework.data.windows import Examples, RowExamples, WindowExamples  # noqa: E402
from framework.registry import build  # noqa: E402

VOCABULARY, BUDGET, ROWS, REPEATS = 8000, 16384, 20_000, 25


def spec(max_length: int) -> DataSpec:
    return DataSpec(VOCABULARY, max_length, padding=0, begin=1, end=2, unknown=3, mask=4, labels=("a", "b"))


def texts(lengths: np.ndarray[Any, Any], generator: np.random.Generator) -> Iterator[list[int]]:
    return (generator.integers(5, VOCABULARY, length).tolist() for length in lengths)


def rows(kind: str, generator: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Encoded rows as the format of a task makes them; the lengths are those of sentences, a log-normal of about 17 tokens."""
    lengths = np.clip(generator.lognormal(2.8, 0.6, ROWS).astype(int), 2, 60)
    for ids in texts(lengths if kind != "packed" else np.full(200, 10_000), generator):
        ones = [1] * len(ids)
        if kind == "packed":
            yield {"ids": ids, "bytes": ones, "words": ones}
        elif kind == "texts":
            yield {"ids": ids, "label": ids[0] % 2}
        elif kind == "pairs":
            yield {"source": ids, "target": ids[::-1]}
        else:
            yield {"ids": ids, "word_ids": list(range(len(ids))), "num_words": len(ids), "tags": ones}


def examples(kind: str, length: int, folder: Path) -> Examples:
    form = build({"part": FORMATS[kind]})
    with Writer(folder, keep_raw=False) as writer:
        for features in rows(kind, np.random.default_rng(0)):
            writer.add({}, features, form)
    encoded = Encoded(folder)
    return WindowExamples(encoded, length, circular=True, whole=True) if kind == "packed" else RowExamples(encoded)


FORMATS = {"packed": "format/completion", "texts": "format/classification", "pairs": "format/translation", "words": "format/ner"}


def main() -> None:
    torch.set_num_threads(1)
    for kind, length in (("packed", 1024), ("packed", 256), ("texts", 64), ("pairs", 64), ("words", 64)):
        with tempfile.TemporaryDirectory() as folder:
            found = examples(kind, length, Path(folder))
            batches = (PackedBatches if kind == "packed" else BucketsBatches)(budget=BUDGET)
            unread = ("following", "bytes", "words") if kind == "packed" else ()
            dataset = BatchDataset(found, build({"part": FORMATS[kind]}), spec(length), seed=0, raw=False, unread=unread)
            steps = list(ShardedBatchSampler(lambda epoch: batches.plan_batches(found.lengths, 0, epoch, 1, True), 0, 1))  # noqa: B023
            tokens = int(found.lengths.sum()) * (2 if kind == "pairs" else 1)
            seconds = np.array([[seconds_of(dataset, step) for step in steps] for _ in range(REPEATS)])  # (epochs, batches)
            median, best = (tokens / value / 1e6 for value in (statistics.median(seconds.sum(axis=1).tolist()), seconds.min(axis=0).sum()))
            print(f"{kind:<7} of {length:>4} tokens: {median:6.1f} M tokens a CPU-second, {best:6.1f} at best ({len(steps)} batches)")


def seconds_of(dataset: BatchDataset, step: Step) -> float:
    start = time.process_time()
    dataset[step]
    return time.process_time() - start


if __name__ == "__main__":
    main()
