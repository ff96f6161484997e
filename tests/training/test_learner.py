"""The learner: the gradient of the whole global batch, figures, and the end of a run that diverges."""

import itertools
import json

import pytest
import torch

from framework.registry import Part
from framework.training.learner import Diverged
from framework.training.optimizers import AdamW
from tests.precision import BILLIONTH
from tests.training.toys import FIGURE, SGD, Loader, ToyTask, learner, rows, trainer, weights


def trained(folder, size, accumulate=1, steps=20, task=None, optimizer=None, **options):
    """Weights and logged losses after some steps over 70 rows of unequal length: the last global batch is a short one."""
    model = learner(task or ToyTask(), optimizer or Part(SGD, lr=0.1, momentum=0.5))
    losses = []
    model._log = lambda figures: losses.append(figures["train/loss"])
    loop = trainer(folder, max_epochs=-1, max_steps=steps, accumulate_grad_batches=accumulate, **options)
    loop.fit(model, Loader(rows(70), size))
    return weights(model.task), losses


def by_hand(size, steps, side=0.0):
    """The same in ten lines of PyTorch."""
    task = ToyTask(side=side)
    optimizer = torch.optim.SGD(task.parameters(), 0.1, 0.5)
    losses: list[float] = []
    for batch in itertools.islice(itertools.chain.from_iterable(itertools.repeat(Loader(rows(70), size))), steps):
        result = task(batch)
        loss = result.loss / result.weight + (task.stack.side_loss if side else 0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return weights(task), losses


def assert_same(one, other, tolerance=BILLIONTH):
    for name in one:
        torch.testing.assert_close(one[name], other[name], atol=tolerance, rtol=0, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize(("size", "accumulate"), [(32, 1), (16, 2), (8, 4)])
def test_a_step_is_the_mean_over_the_global_batch(tmp_path, size, accumulate):
    """Also for the last window of an epoch: 70 rows leave 6, which are one micro-batch where four make a step."""
    expected, expected_losses = by_hand(32, 20)
    found, losses = trained(tmp_path, size, accumulate)
    assert_same(expected, found)
    assert losses == pytest.approx(expected_losses, rel=FIGURE)


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_a_step_is_the_same_in_half_precision(tmp_path, precision):
    """Gradients of sums would overflow float16; and clipping must see them unscaled, with fused optimizers too."""
    options = {"precision": precision, "gradient_clip_val": 1.0, "steps": 6}
    _, expected = trained(tmp_path, 32, steps=6, optimizer=Part(AdamW, lr=0.01), gradient_clip_val=1.0)
    for size, accumulate in ((32, 1), (8, 4)):
        task = ToyTask().float()  # what is double stays double in mixed precision
        _, losses = trained(tmp_path, size, accumulate, task=task, optimizer=Part(AdamW, lr=0.01), **options)
        assert losses == pytest.approx(expected, rel=torch.finfo(torch.bfloat16).eps)  # the scores are rounded once
        assert losses != expected


def test_compile_is_in_place(tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(ToyTask, "compile", lambda self: compiled.append(self))
    task = ToyTask()
    trained(tmp_path, 32, steps=1, task=task, compile=True)
    assert compiled == [task]


def test_clipping_sees_the_mean_gradient(tmp_path):
    one, _ = trained(tmp_path, 32, gradient_clip_val=0.05)
    two, _ = trained(tmp_path, 16, 2, gradient_clip_val=0.05)
    unclipped, _ = trained(tmp_path, 32)
    assert_same(one, two)
    assert any((one[name] - unclipped[name]).abs().max() > 1e-3 for name in one)


def test_side_losses_are_added_and_taken_once(tmp_path):
    expected, expected_losses = by_hand(32, 6, side=0.7)
    task = ToyTask(side=0.7)
    found, losses = trained(tmp_path, 32, steps=6, task=task)
    assert_same(expected, found)
    assert losses == pytest.approx(expected_losses, rel=FIGURE)
    assert task.stack.side_loss is None


def test_ghosts_do_not_train_or_count(tmp_path):
    """The second of two ranks has no row of its own in a batch of one."""
    model = learner(optimizer=Part(SGD, lr=0.5))
    before = weights(model.task)
    ghosts = Loader(rows(1), 1, rank=1, world=2)
    trainer(tmp_path).fit(model, ghosts, ghosts)
    assert_same(before, weights(model.task), 0)
    assert model.figures["validation/rows"] == 0


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_the_run(tmp_path, broken):
    class Breaks(ToyTask):
        steps = 0

        def forward(self, batch):
            result = super().forward(batch)
            self.steps += 1
            result.loss = result.loss * (broken if self.steps == 3 else 1)
            return result

    model = learner(Breaks())
    kept = []
    model.on_train_batch_end = lambda *arguments: kept.append(weights(model.task))
    with pytest.raises(Diverged, match=r"step 3.*\n.*learning rate 0.01.*\n.*optimizer.lr"):
        trainer(tmp_path).fit(model, Loader(rows(70), 8))
    assert len(kept) == 2
    assert_same(kept[-1], weights(model.task), 0)


def test_weights_that_are_no_numbers_are_not_saved(tmp_path):
    model = learner()
    loop = trainer(tmp_path)
    loop.fit(model, Loader(rows(8), 8))
    with torch.no_grad():
        model.task.output.bias[0] = float("nan")
    with pytest.raises(Diverged, match="task.output.bias"):
        loop.save_checkpoint(tmp_path / "x.ckpt")
    assert list(tmp_path.glob("*.ckpt")) == []


def test_figures_of_training(tmp_path):
    model = learner()
    logged = []
    model._log = lambda figures: logged.append((model.trainer.global_step, figures))
    trainer(tmp_path, log_every_n_steps=2).fit(model, loader := Loader(rows(40), 8))
    assert [step for step, _ in logged] == [2, 4, 5]  # the last of an epoch too
    batches = list(loader)[:2]
    tokens, slots = sum(b["tokens"] for b in batches), sum(b["slots"] for b in batches)
    assert logged[0][1]["train/padding"] == pytest.approx(1 - tokens / slots)
    assert logged[0][1]["train/lr"] == pytest.approx(0.01)
    assert logged[0][1]["train/tokens_per_second"] > 0


def test_validation_figures_are_of_all_rows_and_fresh_each_time(tmp_path):
    model = learner(optimizer=Part(SGD, lr=0.0))
    seen = []
    model._log = lambda figures: seen.append(figures) if "validation/loss" in figures else None
    trainer(tmp_path, max_epochs=2, log_every_n_steps=100).fit(model, Loader(rows(8), 8), Loader(rows(30, seed=1), 7))
    with torch.no_grad():
        results = [model.task.eval()(batch) for batch in Loader(rows(30, seed=1), 30)]
    expected = results[0].loss.item() / results[0].weight.item()
    assert [figures["validation/loss"] for figures in seen] == pytest.approx([expected, expected])
    assert [figures["validation/rows"] for figures in seen] == [30, 30]


def test_predictions_are_written_in_the_order_of_the_rows(tmp_path):
    model = learner(folder=tmp_path)
    trainer(tmp_path).test(model, Loader(rows(30), 7, shuffle=True), verbose=False)
    written = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    assert [row["row"] for row in written] == list(range(30))
    assert [row["input"] for row in written] == [sequence[:-1] for sequence in rows(30)]
    assert model.figures["test/rows"] == 30


def test_dropout_is_a_function_of_seed_epoch_and_batch(tmp_path):
    one, _ = trained(tmp_path, 16, task=ToyTask(dropout=0.5))
    torch.randn(1000)
    two, _ = trained(tmp_path, 16, task=ToyTask(dropout=0.5))
    without, _ = trained(tmp_path, 16)
    assert_same(one, two, 0)
    assert any((one[name] - without[name]).abs().max() > 1e-3 for name in one)
