"""A run that is stopped anywhere, any number of times, and resumed ends exactly as one that was not stopped."""

import os
import signal
import threading
from random import Random

import pytest
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.trainer import call

from framework.errors import UserError
from framework.registry import Part
from framework.tracking.csv_file import CsvTracker
from framework.training import callbacks
from framework.training.averaging import Average, AverageLast
from framework.training.background import Background, host_copy
from framework.training.callbacks import Checkpoint, EarlyStopping
from framework.training.checkpoint_files import go_back, step_file
from framework.training.interruption import REQUEUE, SIGNALS, Interrupted
from framework.training.optimizers import AdamW, Muon
from framework.training.schedules import Cosine
from tests.training.interruptions import checkpoint_differences, logged
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


def run(
    folder,
    stop=None,
    optimizer=None,
    every=None,
    accumulate=1,
    epochs=3,
    average=None,
    patience=None,
    validation=True,
    task=None,
    checkpoint=None,
    **options,
):
    """Three epochs of four batches (the last one short), with dropout, shuffling and validation. Resumes if there is a checkpoint."""
    module = learner(task() if task else NextTokenTask(dropout=0.3), optimizer or Part(AdamW, lr=0.02), Part(Cosine, warmup=3))
    used = [Checkpoint(folder, "validation/loss", "min", every_n_train_steps=every, **(checkpoint or {})), *([stop] if stop else [])]
    used += [average()] if average else []
    if patience is not None:
        used.append(EarlyStopping("validation/loss", "min", patience=patience))
        module.hparams["config"]["callbacks"] = {"early_stopping": {"patience": patience}}
    options = {"max_epochs": epochs, "log_every_n_steps": 3, "accumulate_grad_batches": accumulate, **options}
    loop = trainer(folder, callbacks=used, logger=[CsvTracker(folder)], **options)
    last = folder / "checkpoints/last.ckpt"
    loaders = Loader(rows(30), 8, shuffle=True), Loader(rows(10, seed=1), 7) if validation else None
    loop.fit(module, *loaders, ckpt_path=last if last.exists() else None)
    return weights(module.task)


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


CASES = {
    "plain": {},
    "often": {"val_check_interval": 2},
    "float32 trained in float64": {"task": lambda: NextTokenTask(dropout=0.3).float(), "precision": "64-true"},
    "in the background": {"checkpoint": {"background": True, "keep_last": 2}, "average": Part(Average, decay=0.8)},
    "seldom": {"check_val_every_n_epoch": 2},
    "counted over epochs": {"check_val_every_n_epoch": None, "val_check_interval": 3, "accumulate": 2},
    "never": {"validation": False, "average": Part(AverageLast, last=2)},
    "average": {"average": Part(Average, decay=0.8)},
    "last": {"average": Part(AverageLast, last=3)},
    "last, every step": {"average": Part(AverageLast, last=2, every=3), "optimizer": Part(Muon, lr=0.02)},
    "early": {"patience": 0, "optimizer": Part(AdamW, lr=0.5), "epochs": 9},
    "accumulated": {"accumulate": 3},
    "steps": {"max_steps": 10, "epochs": -1},
}


@pytest.mark.matrix(0.4, axes=())
@pytest.mark.parametrize("name", CASES)
def test_stopped_anywhere(tmp_path, monkeypatch, name):
    """Each kind of run, killed up to twice before random hooks, with `last` at each validation or every few steps as well."""
    random, options, ordinary = Random(name), CASES[name], call._call_callback_hooks
    left = [0]  # hooks until the run is killed

    def counted(*arguments, **keywords):
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        return ordinary(*arguments, **keywords)

    monkeypatch.setattr(call, "_call_callback_hooks", counted)
    whole = run(tmp_path / "whole", **options)
    hooks, kills = -left[0], 0
    for every in random.sample((None, 1, 2, 3), 2):
        folder, rest = tmp_path / str(every), hooks
        for _ in range(2):
            left[0] = random.randint(1, rest)
            rest = max(20, rest - left[0])
            try:
                run(folder, every=every, **options)
                break
            except Killed:
                kills += 1
        left[0] = 0
        resumed = run(folder, every=every, **options)
        assert_equal(whole, resumed)
        assert not checkpoint_differences(tmp_path / "whole", folder) and logged(tmp_path / "whole") == logged(folder)
    assert kills > 1


def test_an_epoch_whose_validation_is_due_is_not_over(tmp_path):
    """`last` stands after the last batch of the first epoch, and then of the second, each time before validation."""

    class Break(Callback):
        def __init__(self, step):
            self.step = step

        def on_validation_start(self, loop, module):
            if loop.global_step >= self.step:
                kill()

    for step in (4, 8):
        with pytest.raises(Killed):
            run(tmp_path / "cut", every=4, stop=Break(step))
    resumed = run(tmp_path / "cut", every=4)
    assert_equal(run(tmp_path / "whole", every=4), resumed)
    assert not checkpoint_differences(tmp_path / "whole", tmp_path / "cut") and logged(tmp_path / "whole") == logged(tmp_path / "cut")


def test_a_run_that_is_over_makes_no_more_steps(tmp_path):
    options = {"patience": 0, "optimizer": Part(AdamW, lr=0.5), "epochs": 9}
    whole = run(tmp_path, **options)
    before = (tmp_path / "metrics.csv").read_text()
    assert_equal(whole, run(tmp_path, **options))
    assert (tmp_path / "metrics.csv").read_text() == before
    run(tmp_path, **{**options, "patience": 20})
    assert int(logged(tmp_path)[-1]["step"]) == 36, "with more patience it goes on"


def test_best_is_there_before_last(tmp_path, monkeypatch):
    """Killed between the two, the run goes on from the `last` before, and comes to the same best again."""
    run(tmp_path / "whole")
    run(tmp_path / "cut", epochs=1)
    monkeypatch.setattr(Checkpoint, "_link", lambda *_: kill())
    with pytest.raises(Killed):
        run(tmp_path / "cut")
    monkeypatch.undo()
    steps = [torch.load(tmp_path / f"cut/checkpoints/{name}.ckpt", weights_only=True)["global_step"] for name in ("last", "best")]
    assert steps == [4, 8]
    run(tmp_path / "cut")
    assert not checkpoint_differences(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"epochs": 1}, r"trainer\.max_epochs=1: this run is in epoch 2"),
        ({"max_steps": 3}, r"trainer\.max_steps=3: this run has made 6 steps"),
    ],
    ids=str,
)
def test_limits_below_the_place_are_refused(tmp_path, options, said):
    with pytest.raises(Killed):
        run(tmp_path, stop=Stop(6, kill), every=1)
    with pytest.raises(UserError, match=said):
        run(tmp_path, **options)


def test_an_interval_longer_than_an_epoch_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"trainer\.val_check_interval=5: an epoch has 4 batches.*check_val_every_n_epoch=null"):
        run(tmp_path, val_check_interval=5)


def test_a_share_of_the_batches_that_is_less_than_one_is_refused(tmp_path):
    for name in ("limit_train_batches", "val_check_interval"):
        with pytest.raises(UserError, match=rf"trainer\.{name}=0\.1: .*4 batches.*trainer\.{name}=1"):
            run(tmp_path, **{name: 0.1})


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, REQUEUE)])
def test_a_signal_ends_the_step_and_keeps_last(tmp_path, capfd, number, code):
    whole = run(tmp_path / "whole")
    before = [signal.getsignal(each) for each in SIGNALS]
    with pytest.raises(Interrupted) as raised:
        run(tmp_path / "cut", stop=Stop(6, lambda: os.kill(os.getpid(), number)))
    assert raised.value.code == code and "after this step" in capfd.readouterr().err
    assert [signal.getsignal(each) for each in SIGNALS] == before
    saved = torch.load(tmp_path / "cut/checkpoints/last.ckpt", weights_only=True)
    assert saved["global_step"] == 7
    assert_equal(whole, run(tmp_path / "cut"))


def test_options_of_optimizer_and_schedule_may_change(tmp_path):
    """The options of the config override those in the checkpoint."""
    with pytest.raises(Killed):
        run(tmp_path, stop=Stop(2, kill), every=1)
    seen = []

    class Look(Callback):
        def on_train_batch_start(self, loop, module, batch, batch_idx):
            seen.append((loop.global_step, dict(loop.optimizers[0].param_groups[0])))

    module = learner(
        NextTokenTask(dropout=0.3), Part(AdamW, lr=0.5, weight_decay=0.7, betas=(0.5, 0.6)), Part(Cosine, warmup=50, floor=0.5)
    )
    loop = trainer(tmp_path, max_epochs=1, callbacks=[Look()])
    loop.fit(module, Loader(rows(30), 8, shuffle=True), ckpt_path=tmp_path / "checkpoints/last.ckpt")
    assert [step for step, _ in seen] == [2, 3]
    for step, group in seen:
        assert group["lr"] == pytest.approx(0.5 * (step + 1) / 51)
        assert (group["weight_decay"], tuple(group["betas"])) == (0.7, (0.5, 0.6))


def test_checkpoints_hold_nothing_but_tensors_and_plain_values(tmp_path):
    run(tmp_path, optimizer=Part(Muon), average=Part(Average, decay=0.9), epochs=1)
    checkpoint = torch.load(tmp_path / "checkpoints/best.ckpt", weights_only=True)
    assert checkpoint["hyper_parameters"] == {"config": {"task": {"part": "task/toy"}}}


def steps_of(folder):
    return [int(path.stem.removeprefix("step_")) for path in sorted((folder / "checkpoints").glob("step_*.ckpt"))]


@pytest.mark.parametrize("background", [False, True])
def test_a_run_goes_back_to_a_checkpoint_that_was_kept(tmp_path, background):
    """With other options from there on, too: what came later, the best checkpoint among it, is gone."""
    options = {"checkpoint": {"keep_last": 4, "background": background}, "every": 1}
    whole = run(tmp_path, **options)
    folder = tmp_path / "checkpoints"
    assert steps_of(tmp_path) == [9, 10, 11, 12]
    assert {torch.load(path, weights_only=True)["global_step"] for path in folder.glob("step_*.ckpt")} == {9, 10, 11, 12}
    go_back(step_file(folder, 10), folder / "last.ckpt")
    assert steps_of(tmp_path) == [9, 10] and torch.load(folder / "last.ckpt", weights_only=True)["global_step"] == 10
    best = torch.load(folder / "best.ckpt", weights_only=True)["global_step"] if (folder / "best.ckpt").exists() else 0
    assert best <= 10
    assert_equal(run(tmp_path, **options), whole)
    assert steps_of(tmp_path) == [9, 10, 11, 12] and (folder / "best.ckpt").exists()


class Hold(Background):
    """Tasks that are told when to go on."""

    def __init__(self):
        super().__init__()
        self.gate = threading.Event()

    def start(self, task):
        super().start(lambda: (self.gate.wait(60), task()))


def test_the_checkpoint_before_stays_until_one_is_written_in_the_background(tmp_path, monkeypatch):
    """A kill while a checkpoint is written: what had been copied is lost, what was there is whole; the run ends the same."""
    whole = run(tmp_path / "whole", every=1)
    seen = []
    folder = tmp_path / "cut/checkpoints"

    class Break(Exception):
        pass

    def look():
        seen.append(torch.load(folder / "last.ckpt", weights_only=True)["global_step"])
        raise Break

    write = callbacks.save

    def failing(checkpoint, path):
        if checkpoint["global_step"] == 6:
            path.with_name(f".{path.name}.1.partial").write_bytes(b"half")
            look()
        write(checkpoint, path)

    with monkeypatch.context() as patch:
        patch.setattr(callbacks, "save", failing)
        with pytest.raises(Break):  # raised in the step after it, or where the next checkpoint waits
            run(tmp_path / "cut", every=1, checkpoint={"background": True})
    assert seen == [5] and torch.load(folder / "last.ckpt", weights_only=True)["global_step"] == 5
    assert_equal(run(tmp_path / "cut", every=1, checkpoint={"background": True}), whole)
    assert sorted(path.name for path in folder.iterdir()) == ["best.ckpt", "last.ckpt"]


def test_training_goes_on_while_a_checkpoint_is_written_and_a_second_one_waits():
    hold, done = Hold(), []
    hold.start(lambda: done.append(1))
    hold.check()
    assert done == []  # and we are here
    threading.Timer(0.01, hold.gate.set).start()
    hold.start(lambda: done.append(2))
    assert done[0] == 1
    hold.wait()
    assert done == [1, 2]


def test_a_host_copy_changes_with_nothing():
    weight = torch.ones(3)
    state = {"a": weight, "b": [weight, {"c": weight.view(3)}], "n": 1}
    copied = host_copy(state)
    weight.add_(1)
    state["b"][1]["c"] = None
    assert copied["a"].tolist() == [1, 1, 1] and copied["b"][1]["c"] is copied["a"] and copied["n"] == 1
