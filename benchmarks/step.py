"""python benchmarks/step.py [SHAPE ...] [--texts FILE]: what a training step costs beside plain PyTorch, and what length buckets save.

1. CPU-seconds of a step through Learner and Trainer (default callbacks, bar off, logging every 50 steps) over those of the loop in
   plain.py with torch's fused AdamW: same shape, same batches, one thread, in alternation, median over pairs of blocks of steps.
   Shapes: translation (Multi30k's: 3 + 3 layers of 256, 2,048 tokens, buckets), classification (2 layers of 128, 32 rows of 64 tokens),
   completion (nanoGPT's on a CPU: 4 layers of 128, 12 rows of 64), long_completion (4 rows of 256). In float32 and bf16, dropout 0 and 0.1.
2. `--texts` and `--buckets`: examples a CPU-second with length buckets and with random batches of as many rows on average, on a file of
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

from benchmarks.plain import GPT, Classifier, Loop, Translator  # noqa: E402
from framework.data.formats import BatchRows
from framework.data.spec import DataSpec  # noqa: E402
from framework.registry import Part, build  # noqa: E402
from framework.training.callbacks import build_callbacks  # noqa: E402
from framework.training.learner import Learner  # noqa: E402
from framework.utils.library_warnings import silence_warnings  # noqa: E402

LR, CLIP, VOCABULARY, HEADS = 1e-3, 1.0, 6000, 4
PRECISIONS = {"float32": ("32-true", torch.float32), "bf16": ("bf16-mixed", torch.bfloat16)}
CALLBACKS = ("checkpoint", "early_stopping", "average", "progress")
Batch = dict[str, Any]


def made(name: str, model: Part, spec: DataSpec, **options: Any) -> Any:
    return build({"part": f"task/{name}", **options}, model=model, spec=spec, format=build({"part": f"format/{name}"}))


class Translation:
    """Multi30k's: captions of about 14 tokens in buckets of 2,048 tokens of the target."""

    length, steps = 128, 6

    def task(self, dropout: float, spec: DataSpec | None = None) -> Any:
        model = Part("model/encoder_decoder", dim=256, num_heads=HEADS, num_layers=3, dropout=dropout, max_length=self.length,
                     embedding_scale=True, position=Part("position/sinusoidal"), block=Part("block/post_norm"),
                     feed_forward=Part("feed_forward/mlp", activation="relu"))  # fmt: skip
        return made("translation", model=model, spec=spec or DataSpec(VOCABULARY, self.length))

    def plain(self, dropout: float) -> torch.nn.Module:
        return Translator(VOCABULARY, self.length, 256, HEADS, 3, dropout)

    def batch(self, made: torch.Generator) -> Batch:
        width = int(torch.randint(9, 24, (), generator=made))
        rows = 2048 // width
        ids = torch.randint(5, VOCABULARY, (2, rows, width), generator=made)
        lengths = torch.randint(width - 3, width + 1, (2, rows, 1), generator=made)
        padded = torch.arange(width) >= lengths
        ids = ids.masked_fill(padded, 0)
        return {"source": ids[0], "target": ids[1], "source_padding_mask": ~padded[0], "labels": ids[1].masked_fill(padded[1], -100)}


class Classification:
    """Short reviews."""

    length, steps = 128, 20  # of the table of positions; batches have 64 tokens

    def task(self, dropout: float, spec: DataSpec | None = None) -> Any:
        model = Part("model/encoder_only", dim=128, num_heads=HEADS, num_layers=2, dropout=dropout, max_length=self.length,
                     block=Part("block/post_norm"), embedding_norm=Part("norm/layer"))  # fmt: skip
        spec = spec or DataSpec(VOCABULARY, self.length, labels=("a", "b"))
        return made("classification", model=model, spec=spec, dropout=dropout, pooling="first")

    def plain(self, dropout: float) -> torch.nn.Module:
        return Classifier(VOCABULARY, 2, self.length, 128, HEADS, 2, dropout)

    def batch(self, made: torch.Generator) -> Batch:
        ids, label = torch.randint(5, VOCABULARY, (32, 64), generator=made), torch.randint(2, (32,), generator=made)
        return {"ids": ids, "label": label, "padding_mask": None}


class Completion:
    """GPT over windows of `length` tokens of running text."""

    def __init__(self, rows: int = 12, length: int = 64, vocabulary: int = 66):
        self.rows, self.length, self.vocabulary, self.steps = rows, length, vocabulary, 20

    def task(self, dropout: float, spec: DataSpec | None = None) -> Any:
        model = Part("model/decoder_only", dim=128, num_heads=HEADS, num_layers=4, dropout=dropout, bias=False, max_length=self.length,
                     feed_forward=Part("feed_forward/mlp", activation="gelu_tanh"))  # fmt: skip
        return made("completion", model=model, spec=spec or DataSpec(self.vocabulary, self.length))

    def plain(self, dropout: float) -> torch.nn.Module:
        return GPT(self.vocabulary, self.length, 128, HEADS, 4, dropout)

    def batch(self, made: torch.Generator) -> Batch:
        ids = torch.randint(5, self.vocabulary, (self.rows, self.length + 1), generator=made)
        size = torch.full((self.rows,), self.length + 1)
        return {"ids": ids[:, :-1], "following": ids[:, 1:], "targets": ids[:, 1:], "size": size}


SHAPES: dict[str, Any] = {
    "translation": Translation(),
    "classification": Classification(),
    "completion": Completion(),
    "long_completion": Completion(4, 256, VOCABULARY),
}


def learner(task: Any) -> Learner:
    return Learner(task, Part("optimizer/adamw", lr=LR), Part("schedule/constant", warmup=100))


def fit(module: Learner, loader: Any, folder: Path, precision: str = "32-true", batches: int | None = None) -> None:
    """As a run trains, with the default callbacks and the table of figures; the bar is off."""
    nodes = {name: {"part": f"callback/{name}", **({"style": "off"} if name == "progress" else {})} for name in CALLBACKS}
    callbacks = build_callbacks(nodes, folder=folder, monitor="validation/loss", mode="min")
    tracker = build({"part": "tracker/csv"}, folder=folder)
    options = {"accelerator": "cpu", "devices": 1, "max_epochs": 1, "gradient_clip_val": CLIP, "precision": precision}
    if batches is not None:
        options["limit_train_batches"] = batches
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
                self.loop.step(batch)
            self.ours.append(middle - begin)
            self.plain.append(time.process_time() - middle)


def compare(name: str, precision: str, dropout: float, pairs: int, folder: Path) -> None:
    shape, made = SHAPES[name], torch.Generator().manual_seed(0)
    batches = [shape.batch(made) for _ in range(shape.steps)]
    for batch in batches:
        rows, tokens = len(next(iter(batch.values()))), max(value.numel() for value in batch.values() if value is not None)
        batch["@rows"] = BatchRows(list(range(rows)), None, tokens, tokens)
    module, plain = learner(shape.task(dropout)), shape.plain(dropout)
    count = [sum(p.numel() for p in model.parameters()) for model in (module.task, plain)]
    assert count[0] == count[1], f"{count[0]:,} parameters here, {count[1]:,} there"
    lightning, dtype = PRECISIONS[precision]
    alternating = Alternating(batches, Loop(plain, LR, CLIP, dtype), pairs + 2)
    fit(module, alternating, folder, lightning)
    ours, other = alternating.ours[1:], alternating.plain[1:]  # the first pair warms up; after the last block nobody asks for more
    assert len(ours) == pairs
    ratios = sorted(one / two for one, two in zip(ours, other, strict=True))
    milliseconds = [statistics.median(block) / shape.steps * 1000 for block in (ours, other)]
    print(f"| {name} | {precision} | {dropout} | {milliseconds[0]:.1f} | {milliseconds[1]:.1f} | {statistics.median(ratios):.3f} "
          f"({ratios[0]:.2f} to {ratios[-1]:.2f}) |", flush=True)  # fmt: skip


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
        module = learner(Classification().task(0.1, data.spec))
        begin = time.process_time()
        fit(module, loader, folder / name)
        speeds[name] = count / (time.process_time() - begin)
        print(f"{name:<8} {speeds[name]:7.0f} examples a CPU-second ({count:,} rows, {len(loader)} batches)")
    print(f"buckets over random batches: {speeds['buckets'] / speeds['rows']:.2f}")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("shapes", nargs="*", choices=[*SHAPES, []], help="default: all")
    arguments.add_argument("--precision", nargs="*", choices=list(PRECISIONS), default=list(PRECISIONS))
    arguments.add_argument("--dropout", nargs="*", type=float, default=[0.0, 0.1])
    arguments.add_argument("--pairs", type=int, default=9)
    arguments.add_argument("--buckets", action="store_true", help="buckets on made-up texts")
    arguments.add_argument("--texts", type=Path, help="buckets on lines of text<TAB>label")
    chosen = arguments.parse_args()
    torch.set_num_threads(1)
    silence_warnings()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        os.environ["PLUGFORMER_CACHE"] = str(scratch / "cache")
        if chosen.texts or chosen.buckets:
            if chosen.texts is None:
                texts(scratch / "texts.tsv")
            buckets(chosen.texts or scratch / "texts.tsv", scratch)
            sys.exit()
        print("| shape | precision | dropout | ms a step here | plain | ratio |\n| --- | --- | --- | --- | --- | --- |")
        for shape in chosen.shapes or SHAPES:
            for precision in chosen.precision:
                for dropout in chosen.dropout:
                    compare(shape, precision, dropout, chosen.pairs, scratch / f"{shape}_{precision}_{dropout}")
