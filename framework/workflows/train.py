"""The order of a run, written down once: data -> spec -> model -> task -> learner -> figures. Nothing here knows Hydra."""

import contextlib
import json
import os
import warnings
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from framework.data.module import Prepared
from framework.data.spec import DataSpec
from framework.data.tokenization.trainers import Tokenizer
from framework.generation.engine import Decode
from framework.pretrained import teacher
from framework.pretrained.adapter_file import begin_adapter
from framework.pretrained.transfer import begin
from framework.registry import as_part, build
from framework.runs.build import make_task
from framework.runs.data import prepare_data
from framework.runs.folder import Run
from framework.runs.summary import parameter_lines, parts_line
from framework.tasks.base import Task
from framework.tracking.base import Tracker, build_trackers, finish
from framework.training.callbacks import build_callbacks
from framework.training.learner import Learner
from framework.workflows.baseline import baseline


def train(run: Run, prepared: Prepared | None = None) -> float | None:
    """Trains the run that stands in a folder, in this process as one of its ranks; every rank calls it. prepared: the data, if it is ready.

    Ends with the best checkpoint's figures on validation and test, in metrics.json. Returns the one that the task monitors.
    """
    quiet()
    config = run.config()
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    with run.logged() if rank == 0 else contextlib.nullcontext():
        pl.seed_everything(config["seed"], verbose=False)
        if prepared is None or run.last.exists():  # a resumed run keeps its tokenizer and data spec, whatever a new one would learn
            prepared = prepare_data(config, run.folder if run.last.exists() else None)
        task = make_task(config, prepared.spec, prepared.format)
        begun = []
        if not run.last.exists():  # a resumed run goes on with its own weights
            begun = [*begin(task, config, prepared.spec), *begin_adapter(task, config, prepared.spec)]
        if rank == 0:
            prepared.tokenizer.save(run.tokenizer)
            prepared.spec.save(run.spec)
            run.save_sizes(prepared.sizes)
            print_card(config, prepared, task, run.folder, world, [*begun, *teacher.lines(config)])
        trackers = build_trackers(config["logger"], run.folder, name=config["name"], config=config, chosen=run.chosen())
        exit_code = 1
        try:
            figure = _fit(run, config, prepared, task, trackers, rank, world)
            exit_code = 0
            return figure
        finally:
            finish(trackers, exit_code)


def _fit(run: Run, config: dict[str, Any], prepared: Prepared, task: Task, trackers: list[Tracker], rank: int, world: int) -> float | None:
    learner = build_learner(config, prepared, task, run.folder)
    callbacks = build_callbacks(config["callbacks"], folder=run.folder, monitor=task.monitor, mode=task.mode)
    trainer = build(config["trainer"], callbacks=callbacks, logger=trackers, plugins=[], default_root_dir=run.folder)
    loaders = {split: prepared.loader(split, rank=rank, world_size=world, seed=config["seed"]) for split in prepared.splits}
    trainer.fit(learner, loaders["train"], loaders.get("validation"), ckpt_path=run.last if run.last.exists() else None)
    for split, measure in (("validation", trainer.validate), ("test", trainer.test)):
        if split in loaders:
            measure(learner, loaders[split], ckpt_path=run.best if run.best.exists() else None, verbose=False)
    figures = {name: value for name, value in learner.figures.items() if not name.startswith("train/")}
    if rank == 0:
        figures |= baseline(prepared, task) if config["task"]["baseline"] else {}
        signatures = {name: str(metric.signature) for name, metric in task.metrics().items() if hasattr(metric, "signature")}
        run.save_metrics(figures, task.monitor, signatures)
        for tracker in trackers:
            tracker.log_metrics({f"final/{name}": value for name, value in figures.items()}, step=trainer.global_step)
        print_end(run, figures, signatures)
    return figures.get(task.monitor)


def quiet() -> None:
    """Lightning's and torch's remarks that no user can act on."""
    import logging

    for name in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for remark in ("does not have many workers", "LeafSpec", "You called `self.log", "`_dataloader`", "No device id", "logging interval"):
        warnings.filterwarnings("ignore", message=f".*{remark}.*")


def build_learner(config: Mapping[str, Any], prepared: Prepared, task: Task, folder: Path | None) -> Learner:
    decode, test_decode = (
        decoder(config, prepared.tokenizer, prepared.spec, split, prepared.count(split)) for split in ("validation", "test")
    )
    optimizer, schedule = as_part(config["optimizer"]), as_part(config["schedule"])
    taught = teacher.distillation(config, prepared.spec)
    return Learner(task, optimizer, schedule, dict(config), decode, test_decode, folder=folder, seed=config["seed"], distillation=taught)


def decoder(config: Mapping[str, Any], tokenizer: Tokenizer, spec: DataSpec, split: str, count: int | None = None) -> Decode:
    """What the task writes with on a split of so many examples; a task that never writes has no `decoding` and gets greedy, unused."""
    options = config["task"]
    strategy = build(options.get("decoding") or {"part": "decoding/greedy"})
    return Decode(strategy, tokenizer.decode, spec.end, options.get(f"{split}_rows"), count)


def print_card(config: Mapping[str, Any], prepared: Prepared, task: Task, folder: Path, world: int, begun: Sequence[str] = ()) -> None:
    """What is about to be trained, from what, on what, where."""
    trainer = config["trainer"]
    print(parts_line(config))
    print("\n".join([*parameter_lines(task), *begun]))
    for split, size in prepared.sizes.items():
        lost = "".join(f", {size[key]:,} {key}" for key in ("truncated", "dropped") if size[key])
        print(f"{split:<12}{size['rows']:>10,} rows {size['tokens']:>12,} tokens{lost}")
    device = "cuda" if trainer["accelerator"] in ("auto", "gpu", "cuda") and torch.cuda.is_available() else "cpu"
    precision = trainer["precision"] or "32-true"
    print(f"vocabulary {prepared.spec.vocab_size:,}; {world} process{'es' * (world > 1)} on {device}, precision {precision}")
    print(f"folder {folder}", flush=True)


def print_end(run: Run, figures: Mapping[str, float], signatures: Mapping[str, str]) -> None:
    """Figures, a few predictions, and what to type next."""
    print()
    for row in sample(run.predictions, 3):
        for name in ("input", "reference", "prediction"):
            if name in row:
                print(f"{name:>10}: {short(str(row[name]))}")
        print()
    names = sorted({key.partition("/")[2] for key in figures})
    width = max(16, *(len(name) + 1 for name in names))
    for name in names:
        measured = {split: figures.get(f"{split}/{name}") for split in ("validation", "test", "baseline")}
        columns = [f"{split} {figure:.4f}" for split, figure in measured.items() if figure is not None]
        print(f"{name:<{width}}{'   '.join(columns)}")
    for name, signature in signatures.items():
        print(f"{name:<{width}}{signature}")
    print(f"\nfolder   {run.folder}")
    print(f'predict  python -m framework predict {run.folder} text="..."')
    print(f"resume   python train.py resume={run.folder} trainer.max_epochs=...", flush=True)


def sample(predictions: Path, count: int) -> list[dict[str, Any]]:
    """The first rows that something was predicted for."""
    if not predictions.exists():
        return []
    with open(predictions, encoding="utf-8") as file:
        rows = (json.loads(line) for line in file)
        return list(islice((row for row in rows if "prediction" in row), count))


def short(text: str, width: int = 110) -> str:
    text = text.replace("\n", "\\n")
    return text if len(text) <= width else f"{text[: width - 1]}…"
