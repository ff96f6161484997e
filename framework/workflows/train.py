"""The order of a run: data -> spec -> model -> task -> learner -> metrics."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from framework.config.hydra_source import key_of
from framework.data.module import Prepared
from framework.errors import UserError
from framework.pretrained.adapter_file import load_adapter
from framework.pretrained.reference import attach_reference
from framework.pretrained.teacher import distillation, teacher_lines
from framework.pretrained.transfer import transfer_weights
from framework.registry import as_part, build
from framework.reporting.command import report_at_the_end
from framework.runs.build import build_task
from framework.runs.folder import Run
from framework.runs.freezing import frozen_lines
from framework.runs.log import logged
from framework.runs.predictor import make_generator
from framework.runs.summary import parameter_counts, recipe_line
from framework.runs.sweep import sweep_of
from framework.tasks.base import Task
from framework.tasks.capabilities import Calibrated
from framework.tracking.base import Tracker, build_trackers, finished
from framework.training.calibration import Calibration
from framework.training.callbacks import best_share, build_callbacks, stopping_reason
from framework.training.interruption import interruption
from framework.training.learner import Learner
from framework.utils.library_warnings import silence_warnings
from framework.utils.phases import phase
from framework.utils.ranks import ranks
from framework.workflows.baseline import baseline
from framework.workflows.hints import hints
from framework.workflows.memory import memory_errors
from framework.workflows.precision import slow_precision
from framework.workflows.report import print_end, print_start
from framework.workflows.start import Start
from framework.workflows.telling import tell_end, tell_start
from framework.workflows.verdict import judged


def train(start: Start) -> float | None:
    """Trains a run in its folder, in this process as one of its ranks; every rank calls it.

    Afterwards metrics.json has the metrics of the best checkpoint on validation and test. Returns the one that the task monitors.
    """
    silence_warnings()
    assert start.run is not None
    config, run = start.config, start.run
    place = ranks()
    rank, world = place.rank, place.size
    with logged(run.log) if rank == 0 else contextlib.nullcontext(), memory_errors():
        prepared = start.prepared or start.prepare().prepared
        assert prepared is not None
        pl.seed_everything(config["seed"], verbose=False)
        task = build_task(config, prepared.spec, prepared.format)
        attach_reference(task, config)
        if not start.resumes:
            # loaded weights replace those that they have names of
            with phase("setting initial weights from the training rows"):
                task.set_initial_weights(prepared.rows("train"), prepared.loader("train", shuffle=False))
        lines = load_initial_weights(start, task, prepared)
        if rank == 0:
            if not start.resumes:  # a resumed run keeps the files that its weights were trained with
                prepared.tokenizer.save(run.tokenizer)
                prepared.spec.save(run.spec)
                run.save_sizes(prepared.sizes, prepared.remarks, prepared.checksums)
                run.save_labels(prepared.labels)
            lines += [*teacher_lines(config), recipe_line(config, start.chosen)]
            lines += [*run.notes().get("settings", []), *slow_precision(config)]
            print_start(config, prepared, task, run.folder, world, lines)
        context = {"name": config["name"], "named": any(key_of(word) == "name" for word in run.overrides()), "chosen": start.chosen}
        trackers = build_trackers(config["logger"], run.folder, config=config, sweep=sweep_of(run.folder), **context)
        with finished(trackers), interruption.of_run(run.folder, run.last), phase(""):  # training shows its own progress
            if rank == 0:
                tell_start(trackers, run, prepared, task, config["model"].get("pretrained"))
            return _fit(start, run, prepared, task, trackers, rank, world)


def load_initial_weights(start: Start, task: Task, prepared: Prepared) -> list[str]:
    """Loads pretrained weights and the weights of an adapter into a new task. Returns lines for the user; none for a resumed run."""
    if start.resumes:
        return []
    lines = []
    if start.pretrained is not None:
        transfer = transfer_weights(task, start.pretrained, start.config, prepared.spec)
        lines = [*transfer.lines(), *frozen_lines(task, transfer.missing)]
    return [*lines, *load_adapter(task, start.config, prepared.spec)]


def _fit(start: Start, run: Run, prepared: Prepared, task: Task, trackers: list[Tracker], rank: int, world: int) -> float | None:
    config = start.config
    learner = build_learner(start, prepared, task, run.folder)
    callbacks = build_callbacks(config["callbacks"], folder=run.folder, monitor=task.monitor, mode=task.mode)
    trainer = build(config["trainer"], callbacks=callbacks, logger=trackers, plugins=[], default_root_dir=run.folder)
    options = {"seed": config["seed"], "unread": task.read_in_evaluation, "pin_memory": trainer.strategy.root_device.type == "cuda"}
    loaders = {split: prepared.loader(split, rank=rank, world_size=world, **options) for split in prepared.splits}
    calibrated = calibrated_task(task, config, prepared.splits)
    trainer.fit(learner, loaders["train"], loaders.get("validation"), ckpt_path=run.last if start.resumes else None)
    best = best_share(callbacks, trainer.global_step)
    if calibrated is not None:
        learner.calibration = Calibration(calibrated)
        trainer.validate(learner, loaders["validation"], ckpt_path=run.best if run.best.exists() else None, verbose=False)
        learner.calibration = None
        if rank == 0:
            run.save_temperature(calibrated.temperature)
            print(
                f"temperature {calibrated.temperature:.3g}, fitted to {prepared.sizes['validation']['rows']:,} validation rows", flush=True
            )
    for split, measure in (("validation", trainer.validate), ("test", trainer.test)):
        if split in loaders:
            measure(learner, loaders[split], ckpt_path=run.best if run.best.exists() else None, verbose=False)
    metrics = {name: value for name, value in learner.logged_metrics.items() if not name.startswith("train/")}
    if rank == 0:
        with phase("measuring the baseline"):
            beside, predicted = baseline(prepared, task) if config["task"]["baseline"] else ({}, [])
        metrics |= beside
        with phase("resampling the figures"):
            verdict = judged(task, learner.predictions, learner.predicted_rows, metrics, predicted)
        metrics |= verdict.figures
        settings = run.notes().get("settings", [])
        scaled = any("trainer.max_epochs" in line for line in settings)
        tried = [] if verdict.better or not verdict.sentence else hints(config, prepared.sizes["train"], task, best, scaled)
        signatures = {name: str(metric.signature) for name, metric in task.metrics().items() if hasattr(metric, "signature")}
        costs = {**parameter_counts(task), "trained_tokens": learner.trained_tokens}
        run.save_metrics(metrics, task.monitor, signatures, costs, verdict.sentence, tried)
        if config["report"]:
            report_at_the_end(run)
        tell_end(trackers, run, task, learner.predicted_rows, metrics, trainer.global_step, learner.reports, verdict.sentence)
        print_end(run, metrics, signatures, verdict.sentence, tried, stopped=stopping_reason(callbacks))
    return metrics.get(task.monitor)


def calibrated_task(task: Task, config: Mapping[str, Any], splits: Sequence[str]) -> Calibrated | None:
    """The task, if its temperature is fitted. UserError: there are no rows to fit it to."""
    if not config["task"].get("calibrate"):
        return None
    assert isinstance(task, Calibrated), "the option is one of that class"
    if "validation" not in splits:
        raise UserError("task.calibrate=true fits a temperature to validation rows, and there are none: set data.validation=FILE")
    return task


def build_learner(start: Start, prepared: Prepared, task: Task, folder: Path | None) -> Learner:
    """The learner of a task: its optimizer, schedule, text generators and distillation."""
    config = start.config
    generate, test_generate = (
        make_generator(config, prepared.tokenizer, prepared.spec, split, prepared.count(split)) for split in ("validation", "test")
    )
    taught = distillation(start.frozen, config, prepared.spec)
    optimizer, schedule = as_part(config["optimizer"]), as_part(config["schedule"])
    return Learner(
        task,
        optimizer,
        schedule,
        dict(config),
        generate,
        test_generate,
        folder=folder,
        seed=config["seed"],
        distillation=taught,
        predictions="test" if "test" in prepared.splits else "validation",
    )
