"""python benchmarks/step.py [--texts FILE]: what a training step costs beside plain PyTorch, and what length buckets save.

1. CPU-seconds of a step through Learner and Trainer (default callbacks, bar off, logging every 50 steps) over those of the
   loop in plain.py: same shape, same batches, one thread, in alternation, median over pairs of blocks of 50 steps.
2. Examples a CPU-second with length buckets and with random batches of as many rows on average, on a file of
   `text<TAB>label` lines, or on made-up texts with the lengths of film reviews.
"""

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))  # run from anywhere

import torch  # noqa: E402 - the number of threads is read at import

from benchmarks.plain import Classifier, Loop  # noqa: E402
from framework.data.formats import BatchRows
from framework.data.spec import DataSpec  # noqa: E402
from framework.registry import Part, build  # noqa: E402
from framework.training.callbacks import build_callbacks  # noqa: E402
from framework.training.learner import Learner  # noqa: E402
from framework.workflows.train import quiet  # noqa: E402

VOCABULARY, LABELS, LENGTH, DIM, HEADS, DEPTH, DROPOUT = 8000, 2, 64, 128, 4, 2, 0.1
ROWS, STEPS, LR, CLIP = 32, 50, 1e-3, 1.0
CALLBACKS = ("checkpoint", "early_stopping", "average", "progress")


def model(length: int) -> Part:
    """The model of plain.py out of our parts."""
    options: dict[str, Any] = {"dim": DIM, "num_heads": HEADS, "num_layers": DEPTH, "dropout": DROPOUT, "max_length": length}
    return Part("model/encoder_only", **options, block=Part("block/post_norm"), embedding_norm=Part("norm/layer"))


def learner(spec: DataSpec) -> Learner:
    task = build({"part": "task/classification", "dropout": DROPOUT}, model=model(spec.max_length), spec=spec)
    return Learner(task, Part("optimizer/adamw", lr=LR), Part("schedule/constant", warmup=100))


def fit(module: Learner, loader: Any, folder: Path, epochs: int = 1) -> None:
    """As a run trains, with the default callbacks and the table of figures; the bar is off."""
    nodes = {name: {"part": f"callback/{name}", **({"style": "off"} if name == "progress" else {})} for name in CALLBACKS}
    callbacks = build_callbacks(nodes, folder=folder, monitor="validation/loss", mode="min")
    tracker = build({"part": "tracker/csv"}, folder=folder)
    options = {"accelerator": "cpu", "devices": 1, "max_epochs": epochs, "gradient_clip_val": CLIP, "log_every_n_steps": STEPS}
    trainer = build({"part": "trainer/lightning", **options}, callbacks=callbacks, logger=[tracker], default_root_dir=folder)
    trainer.fit(module, loader)


class Alternating:
    """Blocks of batches for the trainer; between two blocks the plain loop takes the same ones. Keeps the CPU-seconds of both."""

    def __init__(self, batches: list[dict[str, Any]], loop: Loop, pairs: int):
        self.batches, self.loop, self.pairs = batches, loop, pairs
        self.ours: list[float] = []
        self.plain: list[float] = []

    def __len__(self) -> int:
        return len(self.batches) * self.pairs

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for _ in range(self.pairs):
            begin = time.process_time()
            yield from self.batches
            middle = time.process_time()
            for batch in self.batches:
                self.loop.step(batch["ids"], batch["label"])
            self.ours.append(middle - begin)
            self.plain.append(time.process_time() - middle)


def compare(pairs: int, folder: Path) -> None:
    random_numbers = torch.Generator().manual_seed(0)
    batches = [
        {
            "ids": torch.randint(5, VOCABULARY, (ROWS, LENGTH), generator=random_numbers),
            "label": torch.randint(LABELS, (ROWS,), generator=random_numbers),
            "padding_mask": None,
            "@rows": BatchRows(list(range(ROWS)), None, ROWS * LENGTH, ROWS * LENGTH),
        }
        for _ in range(STEPS)
    ]
    module = learner(DataSpec(VOCABULARY, LENGTH, labels=("a", "b")))
    plain = Classifier(VOCABULARY, LABELS, LENGTH, DIM, HEADS, DEPTH, DROPOUT)
    count = [sum(p.numel() for p in made.parameters()) for made in (module.task, plain)]
    assert count[0] == count[1], f"{count[0]:,} parameters here, {count[1]:,} there"
    alternating = Alternating(batches, Loop(plain, LR, CLIP), pairs + 2)
    fit(module, alternating, folder)
    ours, other = alternating.ours[1:], alternating.plain[1:]  # the first pair warms up; after the last block nobody asks for more
    assert len(ours) == pairs
    ratios = [one / two for one, two in zip(ours, other, strict=True)]
    milliseconds = [statistics.median(block) / STEPS * 1000 for block in (ours, other)]
    print(f"step, {count[0]:,} parameters, {ROWS} x {LENGTH} tokens: {milliseconds[0]:.1f} ms here, {milliseconds[1]:.1f} ms plain")
    print(f"ratio {statistics.median(ratios):.3f} (median of {len(ratios)}; {min(ratios):.3f} to {max(ratios):.3f})")


def texts(path: Path, rows: int = 4000) -> None:
    """Made-up texts: lengths like those of film reviews (a log-normal of about 20 words)."""
    made = random.Random(0)
    words = ["".join(made.choices("aeioulmnrst", k=made.randint(2, 9))) for _ in range(3000)]
    lines = (" ".join(made.choices(words, k=max(1, min(60, round(made.lognormvariate(2.8, 0.6)))))) for _ in range(rows))
    path.write_text("".join(f"{line}\t{made.randint(0, 1)}\n" for line in lines), encoding="utf-8")


def buckets(path: Path, folder: Path) -> None:
    from framework.data.module import prepare

    speeds = {}
    rows = 0
    for name in ("buckets", "rows"):
        options = {"budget": 2048} if name == "buckets" else {"rows": rows}
        form = build({"part": "format/classification"})
        columns = {"text": 0, "label": 1}
        node = {"part": "data/files", "train": str(path), "kind": "tsv", "columns": columns, "validation_share": 0.0}
        source = build({**node, "batches": {"part": f"batches/{name}", **options}}, format=form, seed=0)
        data = prepare(source, build({"part": "tokenizer/wordpiece"}), form, max_length=64)
        loader, count = data.loader("train"), data.sizes["train"]["rows"]
        rows = max(1, round(count / len(loader)))
        module = learner(data.spec)
        begin = time.process_time()
        fit(module, loader, folder / name)
        speeds[name] = count / (time.process_time() - begin)
        print(f"{name:<8} {speeds[name]:7.0f} examples a CPU-second ({count:,} rows, {len(loader)} batches)")
    print(f"buckets over random batches: {speeds['buckets'] / speeds['rows']:.2f}")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--texts", type=Path, help="lines of text<TAB>label")
    arguments.add_argument("--pairs", type=int, default=15)
    chosen = arguments.parse_args()
    torch.set_num_threads(1)
    quiet()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        os.environ["PLUGFORMER_CACHE"] = str(scratch / "cache")
        compare(chosen.pairs, scratch)
        if chosen.texts is None:
            texts(scratch / "texts.tsv")
        buckets(chosen.texts or scratch / "texts.tsv", scratch)
