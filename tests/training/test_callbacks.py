"""Callbacks: the best checkpoint, early stopping, weight averaging, progress."""

import os

import pytest
import torch
from pytorch_lightning.callbacks import Callback

from framework.config.compose import compose
from framework.errors import UserError
from framework.registry import Part
from framework.training.averaging import Average, AverageLast
from framework.training.callbacks import Checkpoint, EarlyStopping, build_callbacks
from framework.training.optimizers import SGD
from framework.training.progress import ProgressReport
from tests.training.toys import Loader, NextTokenTask, learner, rows, trainer, weights


class Scripted(NextTokenTask):
    """A task with scripted validation losses."""

    def __init__(self, script):
        super().__init__()
        self.script = list(script)

    def evaluate(self, batch, decode):
        result, found = super().evaluate(batch, decode)
        result.loss = self.script.pop(0) * result.weight
        return result, found


def validated(folder, script, callbacks, **options):
    """A run with one validation for each scripted loss."""
    module = learner(Scripted(script))
    loop = trainer(folder, max_epochs=len(script), callbacks=callbacks, **options)
    loop.fit(module, Loader(rows(16), 8), Loader(rows(4), 4))
    return loop


def saved(folder, name):
    return torch.load(folder / f"checkpoints/{name}.ckpt", weights_only=True)


@pytest.mark.parametrize(("mode", "best"), [("min", 4), ("max", 2)])
def test_best_and_last(tmp_path, mode, best):
    validated(tmp_path, [3.0, 1.0, 2.0], [Checkpoint(tmp_path, "validation/loss", mode)])
    assert saved(tmp_path, "best")["global_step"] == best
    assert saved(tmp_path, "last")["global_step"] == 6


def test_a_nan_score_is_never_better(tmp_path):
    validated(tmp_path, [float("nan"), 2.0, float("nan")], [Checkpoint(tmp_path, "validation/loss", "min")])
    assert saved(tmp_path, "best")["global_step"] == 4


def test_a_resumed_run_keeps_the_best_score(tmp_path):
    validated(tmp_path, [1.0], [Checkpoint(tmp_path, "validation/loss", "min")])
    module = learner(Scripted([2.0, 3.0]))
    loop = trainer(tmp_path, max_epochs=3, callbacks=[Checkpoint(tmp_path, "validation/loss", "min")])
    loop.fit(module, Loader(rows(16), 8), Loader(rows(4), 4), ckpt_path=tmp_path / "checkpoints/last.ckpt")
    assert saved(tmp_path, "best")["global_step"] == 2
    assert saved(tmp_path, "last")["global_step"] == 6


def test_without_validation_the_newest_is_the_best(tmp_path):
    trainer(tmp_path, max_epochs=2, callbacks=[Checkpoint(tmp_path, "validation/loss", "min")]).fit(learner(), Loader(rows(16), 8))
    assert saved(tmp_path, "best")["global_step"] == saved(tmp_path, "last")["global_step"] == 4


def test_a_monitor_that_is_no_metric_is_named(tmp_path):
    with pytest.raises(UserError, match=r"'validation/bleu' is not among validation/loss, validation/rows"):
        validated(tmp_path, [1.0], [Checkpoint(tmp_path, "validation/bleu", "max")])


def test_where_hard_links_fail_the_best_is_a_copy(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError

    monkeypatch.setattr(os, "link", refuse)
    validated(tmp_path, [1.0, 2.0], [Checkpoint(tmp_path, "validation/loss", "min")])
    assert saved(tmp_path, "best")["global_step"] == 2
    assert saved(tmp_path, "last")["global_step"] == 4
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]


def test_early_stopping(tmp_path):
    loop = validated(tmp_path, [3.0, 2.0, 2.5, 2.4, 1.0], [EarlyStopping("validation/loss", "min", patience=2)])
    assert loop.current_epoch == 4


def test_callbacks_that_are_off_are_left_out(tmp_path):
    parts = {"stop": "early_stopping", "average": "average", "last": "average_last", "save": "checkpoint"}
    nodes = {name: {"part": f"callback/{part}"} for name, part in parts.items()}
    context = {"folder": tmp_path, "monitor": "validation/loss", "mode": "min"}
    assert [type(callback) for callback in build_callbacks(nodes, **context)] == [Checkpoint]
    nodes["stop"]["patience"], nodes["average"]["decay"], nodes["last"]["last"] = 0, 0.5, 3
    assert [type(callback) for callback in build_callbacks(nodes, **context)] == [EarlyStopping, Average, AverageLast, Checkpoint]


class Record(Callback):
    """The live weights after each step."""

    def __init__(self):
        self.seen = []

    def on_train_batch_end(self, loop, module, outputs, batch, batch_idx):
        self.seen.append(weights(module.task))


@pytest.mark.parametrize("precision", ["32-true", "64-true"])
def test_the_average_is_validated_saved_and_kept(tmp_path, precision):
    task, record = NextTokenTask().float(), Record()  # the trainer converts it after the setup of callbacks
    module = learner(task, Part(SGD, lr=0.3))
    held_out = Loader(rows(9, seed=3), 9)
    callbacks = [Average(decay=0.6), record, Checkpoint(tmp_path, "validation/loss", "min")]
    loop = trainer(tmp_path, callbacks=callbacks, precision=precision)
    loop.fit(module, Loader(rows(32), 8), held_out)
    average = record.seen[0]
    for live in record.seen[1:]:
        average = {name: 0.6 * average[name] + 0.4 * live[name] for name in live}
    checkpoint = saved(tmp_path, "last")
    for name, expected in average.items():
        torch.testing.assert_close(checkpoint["state_dict"][f"task.{name}"], expected, msg=name)
        torch.testing.assert_close(checkpoint["current_model_state"][f"task.{name}"], record.seen[-1][name], msg=name)
        torch.testing.assert_close(weights(task)[name], expected, msg=name)
    with torch.no_grad():
        result = task.eval()(next(iter(Loader(rows(9, seed=3), 9))))
    expected = pytest.approx(result.loss.item() / result.weight.item(), abs=1e-6)
    assert module.logged_metrics["validation/loss"] == expected
    loop.validate(module, held_out, ckpt_path=tmp_path / "checkpoints/best.ckpt", verbose=False)
    loop.test(module, held_out, ckpt_path=tmp_path / "checkpoints/best.ckpt", verbose=False)
    assert module.logged_metrics["validation/loss"] == module.logged_metrics["test/loss"] == expected


def mean(taken):
    """Mean of float32 weights, summed in float64 and rounded once."""
    return {name: torch.stack([weights[name].double() for weights in taken]).mean(0).float() for name in taken[0]}


def loss(state, held_out):
    """Loss of the weights on the only batch."""
    task = NextTokenTask().to(next(iter(state.values())).dtype)
    task.load_state_dict(state)
    with torch.no_grad():
        result = task.eval()(next(iter(held_out)))
    return pytest.approx(result.loss.item() / result.weight.item(), abs=1e-6)


@pytest.mark.parametrize(
    ("options", "taken"),
    [
        ({"last": 3}, [7, 11, 15]),  # a validation at the end of each of four epochs of four steps
        ({"last": 9}, [3, 7, 11, 15]),
        ({"last": 4, "every": 3}, [5, 8, 11, 14]),
        ({"last": 2, "every": 99}, []),
    ],
    ids=str,
)
def test_the_mean_of_the_last_weights_is_validated_saved_and_kept(tmp_path, options, taken):
    task, record = NextTokenTask().float(), Record()
    module = learner(task, Part(SGD, lr=0.3))
    held_out = Loader(rows(9, seed=3), 9)
    loop = trainer(tmp_path, max_epochs=4, callbacks=[AverageLast(**options), record, Checkpoint(tmp_path, "validation/loss", "min")])
    loop.fit(module, Loader(rows(32), 8), held_out)
    expected = mean([record.seen[step] for step in taken or [15]])
    checkpoint = saved(tmp_path, "last")
    for name in expected:
        assert torch.equal(checkpoint["state_dict"][f"task.{name}"], expected[name]), name
        assert torch.equal(weights(task)[name], expected[name]), name
        if taken:
            assert torch.equal(checkpoint["current_model_state"][f"task.{name}"], record.seen[-1][name]), name
    assert module.logged_metrics["validation/loss"] == loss(expected, held_out)
    best = saved(tmp_path, "best")
    kept = {name.removeprefix("task."): value for name, value in best["state_dict"].items()}
    for measure, metric in ((loop.validate, "validation/loss"), (loop.test, "test/loss")):
        measure(module, held_out, ckpt_path=tmp_path / "checkpoints/best.ckpt", verbose=False)
        assert module.logged_metrics[metric] == loss(kept, held_out)  # the checkpoint is evaluated at the end


def test_where_nothing_is_validated_each_epoch_gives_weights(tmp_path):
    module, record = learner(NextTokenTask().float()), Record()
    loop = trainer(tmp_path, max_epochs=3, callbacks=[AverageLast(2), record, Checkpoint(tmp_path, "validation/loss", "min")])
    loop.fit(module, Loader(rows(16), 8))
    expected = mean([record.seen[3], record.seen[5]])
    for name, value in expected.items():
        assert torch.equal(saved(tmp_path, "best")["state_dict"][f"task.{name}"], value)
        assert torch.equal(weights(module.task)[name], value)


@pytest.mark.parametrize("average", [Average(decay=0.5), AverageLast(2)], ids=lambda average: type(average).__name__)
def test_a_run_that_no_longer_averages_resumes_from_the_live_weights(tmp_path, average):
    record = Record()
    checkpoint = Checkpoint(tmp_path, "validation/loss", "min")
    trainer(tmp_path, callbacks=[average, record, checkpoint], max_epochs=2).fit(learner(), Loader(rows(16), 8), Loader(rows(4), 4))

    class Look(Callback):
        def on_train_start(self, loop, module):
            self.seen = weights(module.task)

    look = Look()
    loop = trainer(tmp_path, callbacks=[look, Checkpoint(tmp_path, "validation/loss", "min")], max_epochs=3)
    loop.fit(learner(), Loader(rows(16), 8), Loader(rows(4), 4), ckpt_path=tmp_path / "checkpoints/last.ckpt")
    assert all(torch.equal(look.seen[name], value) for name, value in record.seen[-1].items())


def test_live_weights_that_are_nan_are_not_saved_with_a_finite_mean(tmp_path):
    module = learner()

    class Break(Callback):
        def on_validation_end(self, loop, module):
            if loop.global_step == 4:
                module.task.output.bias.data[0] = float("nan")

    loop = trainer(tmp_path, max_epochs=2, callbacks=[AverageLast(2), Break(), Checkpoint(tmp_path, "validation/loss", "min")])
    with pytest.raises(UserError, match=r"task\.output\.bias has infinite or NaN values at step 4"):
        loop.fit(module, Loader(rows(16), 8), Loader(rows(4), 4))
    assert saved(tmp_path, "last")["global_step"] == 2


def test_two_averages_and_an_average_of_nothing_are_refused():
    for words in (["trainer.precision=bf16-true"], ["trainer.strategy=fsdp"]):
        with pytest.raises(UserError, match=r"callbacks\.average\.decay=null"):
            compose([*words, "callbacks.average.decay=0.9"])
        assert compose([*words, "callbacks.average.decay=null"])
    with pytest.raises(UserError, match=r"callbacks\.average_last\.last=null"):
        compose(["trainer.strategy=fsdp", "callbacks.average_last.last=2"])
    with pytest.raises(UserError, match=r"callbacks\.average\.decay and callbacks\.average_last\.last exclude each other"):
        compose(["callbacks.average.decay=0.9", "callbacks.average_last.last=5"])
    with pytest.raises(UserError, match="last must be at least 1"):
        compose(["callbacks.average_last.last=0"])
    assert compose(["callbacks.average_last.last=5"]).config["callbacks"]["average_last"]["every"] is None


def test_plain_lines_are_few_and_have_the_metrics(tmp_path, capsys):
    module = learner()
    loop = trainer(tmp_path, callbacks=[ProgressReport("validation/rows", style="lines")])
    loop.fit(module, Loader(rows(200), 1), Loader(rows(4), 4))
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("step")]
    assert len(lines) == 21
    assert lines[-1].startswith("step 200/200  loss ")
    assert "tokens/s" in lines[-1] and "validation/rows 4" in lines[-1]


def test_the_bar_runs_and_ends(tmp_path):
    report = ProgressReport("validation/rows", style="bar")
    trainer(tmp_path, callbacks=[report]).fit(learner(), Loader(rows(16), 8), Loader(rows(4), 4))
    assert report._progress is None
