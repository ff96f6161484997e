"""A run that is killed anywhere and resumed ends with exactly the weights of an uninterrupted run."""

import os
import signal

import pytest
import torch
from pytorch_lightning.callbacks import Callback

from framework.registry import Part
from framework.tracking.csv_file import CsvTracker
from framework.training.averaging import Average, AverageLast
from framework.training.callbacks import Checkpoint
from framework.training.interruption import REQUEUE, SIGNALS, Interrupted
from framework.training.optimizers import AdamW, Muon
from framework.training.schedules import Cosine
from tests.training.toys import Loader, NextTokenTask, learner, rows, trainer, weights


class Killed(Exception):
    """Like kill -9: nothing is saved."""


class Stop(Callback):
    def __init__(self, step, how):
        self.step, self.how = step, how

    def on_train_batch_start(self, loop, module, batch, batch_idx):
        if loop.global_step == self.step:
            self.how()


def kill():
    raise Killed


def run(folder, stop=None, resume=False, optimizer=None, every=None, accumulate=1, epochs=3, average=None, size=8, **options):
    """Three epochs of nine batches (the last one short), with dropout, shuffling and validation."""
    module = learner(NextTokenTask(dropout=0.3), optimizer or Part(AdamW, lr=0.02), Part(Cosine, warmup=3))
    callbacks = [Checkpoint(folder, "validation/loss", "min", every_n_train_steps=every), *([stop] if stop else [])]
    callbacks += [average()] if average else []
    loop = trainer(
        folder, max_epochs=epochs, callbacks=callbacks, accumulate_grad_batches=accumulate, logger=[CsvTracker(folder)], **options
    )
    loaders = Loader(rows(70), size, shuffle=True), Loader(rows(20, seed=1), 7)
    loop.fit(module, *loaders, ckpt_path=folder / "checkpoints/last.ckpt" if resume else None)
    return weights(module.task)


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def csv(folder):
    """metrics.csv without times."""
    lines = [line.split(",") for line in (folder / "metrics.csv").read_text().splitlines()]
    clock = lines[0].index("train/tokens_per_second")
    return [[value for number, value in enumerate(line) if number != clock] for line in lines]


@pytest.mark.parametrize("step", [1, 4, 9, 11, 18, 20, 26])
def test_killed_in_any_place(tmp_path, step):
    """`last` is saved every step: step 4 is within an epoch, 9 and 18 are ends of epochs, 26 is before the last batch."""
    whole = run(tmp_path / "whole")
    with pytest.raises(Killed):
        run(tmp_path / "cut", stop=Stop(step, kill), every=1)
    resumed = run(tmp_path / "cut", resume=True)
    assert_equal(whole, resumed)
    assert csv(tmp_path / "whole") == csv(tmp_path / "cut")


def test_killed_some_steps_after_the_last_save(tmp_path):
    whole = run(tmp_path / "whole")
    with pytest.raises(Killed):
        run(tmp_path / "cut", stop=Stop(16, kill), every=7)
    assert_equal(whole, run(tmp_path / "cut", resume=True))
    assert csv(tmp_path / "whole") == csv(tmp_path / "cut")


def test_killed_after_an_epoch_without_any_other_save(tmp_path):
    whole = run(tmp_path / "whole")
    with pytest.raises(Killed):
        run(tmp_path / "cut", stop=Stop(13, kill))
    assert_equal(whole, run(tmp_path / "cut", resume=True))
    assert csv(tmp_path / "whole") == csv(tmp_path / "cut")


def test_killed_while_validation_runs_twice_an_epoch(tmp_path):
    whole = run(tmp_path / "whole", val_check_interval=4)
    with pytest.raises(Killed):
        run(tmp_path / "cut", stop=Stop(14, kill), val_check_interval=4)
    assert_equal(whole, run(tmp_path / "cut", resume=True, val_check_interval=4))
    assert csv(tmp_path / "whole") == csv(tmp_path / "cut")


@pytest.mark.parametrize(
    "options", [{"optimizer": Part(Muon, lr=0.02)}, {"average": Part(Average, decay=0.8)}, {"accumulate": 4, "size": 4}], ids=str
)
def test_killed_with(tmp_path, options):
    whole = run(tmp_path / "whole", **options)
    with pytest.raises(Killed):
        run(tmp_path / "cut", stop=Stop(7, kill), every=2, **options)
    assert_equal(whole, run(tmp_path / "cut", resume=True, **options))


@pytest.mark.parametrize(("step", "options"), [(7, {}), (20, {}), (20, {"every": 4})], ids=str)
def test_killed_with_a_mean_of_the_last_weights(tmp_path, step, options):
    """Before the first validation, and after the second; at the end the module holds the mean."""
    average = Part(AverageLast, last=3, **options)
    whole = run(tmp_path / "whole", average=average)
    with pytest.raises(Killed):
        run(tmp_path / "cut", stop=Stop(step, kill), every=2, average=average)
    assert_equal(whole, run(tmp_path / "cut", resume=True, average=average))
    assert csv(tmp_path / "whole") == csv(tmp_path / "cut")
    one, other = (torch.load(tmp_path / name / "checkpoints/last.ckpt", weights_only=True) for name in ("whole", "cut"))
    assert_equal(one["current_model_state"], other["current_model_state"])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, REQUEUE)])
def test_a_signal_ends_the_step_and_keeps_last(tmp_path, capfd, number, code):
    whole = run(tmp_path / "whole")
    before = [signal.getsignal(each) for each in SIGNALS]
    with pytest.raises(Interrupted) as raised:
        run(tmp_path / "cut", stop=Stop(12, lambda: os.kill(os.getpid(), number)))
    assert raised.value.code == code and "after this step" in capfd.readouterr().err
    assert [signal.getsignal(each) for each in SIGNALS] == before
    saved = torch.load(tmp_path / "cut/checkpoints/last.ckpt", weights_only=True)
    assert saved["global_step"] == 13
    assert_equal(whole, run(tmp_path / "cut", resume=True))


def test_options_of_optimizer_and_schedule_may_change(tmp_path):
    """The options of the config override those in the checkpoint."""
    with pytest.raises(Killed):
        run(tmp_path, stop=Stop(5, kill), every=1)
    seen = []

    class Look(Callback):
        def on_train_batch_start(self, loop, module, batch, batch_idx):
            seen.append((loop.global_step, dict(loop.optimizers[0].param_groups[0])))

    module = learner(
        NextTokenTask(dropout=0.3), Part(AdamW, lr=0.5, weight_decay=0.7, betas=(0.5, 0.6)), Part(Cosine, warmup=50, floor=0.5)
    )
    loop = trainer(tmp_path, max_epochs=1, callbacks=[Look()])
    loop.fit(module, Loader(rows(70), 8, shuffle=True), ckpt_path=tmp_path / "checkpoints/last.ckpt")
    assert [step for step, _ in seen] == [5, 6, 7, 8]
    for step, group in seen:
        assert group["lr"] == pytest.approx(0.5 * (step + 1) / 51)
        assert (group["weight_decay"], tuple(group["betas"])) == (0.7, (0.5, 0.6))


def test_checkpoints_hold_nothing_but_tensors_and_plain_values(tmp_path):
    run(tmp_path, optimizer=Part(Muon), average=Part(Average, decay=0.9), epochs=1)
    checkpoint = torch.load(tmp_path / "checkpoints/best.ckpt", weights_only=True)
    assert checkpoint["hyper_parameters"] == {"config": {"task": {"part": "task/toy"}}}
