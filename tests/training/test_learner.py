"""Learner: the gradient of the global batch, metrics, and runs that diverge."""

import itertools
import json
from types import SimpleNamespace

import pytest
import torch

from framework.registry import Part
from framework.training.costs import peak_flops
from framework.training.learner import Diverged
from framework.training.optimizers import AdamW
from framework.training.throughput import ThroughputMonitor
from tests.precision import BILLIONTH
from tests.training import toys
from tests.training.toys import DIM, LOGGED, SGD, VOCABULARY, Loader, NextTokenTask, learner, rows, trainer, weights


def trained(folder, size, accumulate=1, steps=20, task=None, optimizer=None, **options):
    """Weights and logged losses after some steps over 70 rows of different length; the last global batch is short."""
    model = learner(task or NextTokenTask(), optimizer or Part(SGD, lr=0.1, momentum=0.5))
    losses = []
    model._log = lambda metrics: losses.append(metrics["train/loss"])
    loop = trainer(folder, max_epochs=-1, max_steps=steps, accumulate_grad_batches=accumulate, **options)
    loop.fit(model, Loader(rows(70), size))
    return weights(model.task), losses


def by_hand(size, steps):
    """The same in ten lines of PyTorch."""
    task = NextTokenTask()
    optimizer = torch.optim.SGD(task.parameters(), 0.1, 0.5)
    losses: list[float] = []
    for batch in itertools.islice(itertools.chain.from_iterable(itertools.repeat(Loader(rows(70), size))), steps):
        result = task(batch)
        loss = result.loss / result.weight
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
    """Also for the last accumulation window of an epoch, 6 rows in one micro-batch instead of four."""
    expected, expected_losses = by_hand(32, 20)
    found, losses = trained(tmp_path, size, accumulate)
    assert_same(expected, found)
    assert losses == pytest.approx(expected_losses, rel=LOGGED)


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_a_step_is_the_same_in_half_precision(tmp_path, precision):
    """Gradients of sums would overflow float16; clipping needs them unscaled, also with fused optimizers."""
    options = {"precision": precision, "gradient_clip_val": 1.0, "steps": 6}
    _, expected = trained(tmp_path, 32, steps=6, optimizer=Part(AdamW, lr=0.01), gradient_clip_val=1.0)
    for size, accumulate in ((32, 1), (8, 4)):
        task = NextTokenTask().float()  # mixed precision leaves float64 as it is
        _, losses = trained(tmp_path, size, accumulate, task=task, optimizer=Part(AdamW, lr=0.01), **options)
        assert losses == pytest.approx(expected, rel=torch.finfo(torch.bfloat16).eps)  # the scores are rounded once
        assert losses != expected


def test_compile_is_in_place(tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(NextTokenTask, "compile", lambda self: compiled.append(self))
    task = NextTokenTask()
    trained(tmp_path, 32, steps=1, task=task, compile=True)
    assert compiled == [task]


def test_clipping_is_of_the_mean_gradient(tmp_path):
    one, _ = trained(tmp_path, 32, gradient_clip_val=0.05)
    two, _ = trained(tmp_path, 16, 2, gradient_clip_val=0.05)
    unclipped, _ = trained(tmp_path, 32)
    assert_same(one, two)
    assert any((one[name] - unclipped[name]).abs().max() > 1e-3 for name in one)


def test_dummy_batches_do_not_train_or_count(tmp_path):
    """The second of two ranks has no row in a batch of one row."""
    model = learner(optimizer=Part(SGD, lr=0.5))
    before = weights(model.task)
    dummies = Loader(rows(1), 1, rank=1, world_size=2)
    trainer(tmp_path).fit(model, dummies, dummies)
    assert_same(before, weights(model.task), 0)
    assert model.logged_metrics["validation/rows"] == 0


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_the_run(tmp_path, broken):
    class Breaks(NextTokenTask):
        steps = 0

        def forward(self, batch):
            result = super().forward(batch)
            self.steps += 1
            result.loss = result.loss * (broken if self.steps == 3 else 1)
            return result

    model = learner(Breaks())
    kept = []
    model.on_train_batch_end = lambda *arguments: kept.append(weights(model.task))
    with pytest.raises(Diverged, match=r"step 3.*\n.*learning rate was 0.01.*\n.*optimizer.lr"):
        trainer(tmp_path).fit(model, Loader(rows(70), 8))
    assert len(kept) == 2
    assert_same(kept[-1], weights(model.task), 0)


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    model = learner()
    loop = trainer(tmp_path)
    loop.fit(model, Loader(rows(8), 8))
    with torch.no_grad():
        model.task.output.bias[0] = float("nan")
    with pytest.raises(Diverged, match="task.output.bias"):
        loop.save_checkpoint(tmp_path / "x.ckpt")
    assert list(tmp_path.glob("*.ckpt")) == []


def test_training_metrics(tmp_path):
    model = learner()
    logged = []
    model._log = lambda metrics: logged.append((model.trainer.global_step, metrics))
    trainer(tmp_path, log_every_n_steps=2).fit(model, loader := Loader(rows(40), 8))
    assert [step for step, _ in logged] == [2, 4, 5]  # also the last step of an epoch
    batches = list(loader)[:2]
    tokens, padded = (sum(getattr(b["@rows"], name) for b in batches) for name in ("tokens", "padded_tokens"))
    assert logged[0][1]["train/padding"] == pytest.approx(1 - tokens / padded)
    assert logged[0][1]["train/lr"] == pytest.approx(0.01)
    assert logged[0][1]["train/tokens_per_second"] > 0


@pytest.mark.parametrize(
    ("options", "steps"), [({"max_steps": 3, "max_epochs": -1}, [3]), ({"max_steps": 7, "max_epochs": -1}, [5, 7]), ({}, [5])]
)
def test_a_run_of_few_steps_logs_its_loss_at_the_last_one(tmp_path, options, steps):
    model, logged = learner(), {}
    model._log = lambda metrics: logged.update({model.trainer.global_step: metrics})
    trainer(tmp_path, log_every_n_steps=50, **options).fit(model, Loader(rows(40), 8))
    assert [*logged] == steps and all(metrics["train/loss"] > 0 for metrics in logged.values())


def test_validation_metrics_are_of_all_rows_and_fresh_each_time(tmp_path):
    model = learner(optimizer=Part(SGD, lr=0.0))
    seen = []
    model._log = lambda metrics: seen.append(metrics) if "validation/loss" in metrics else None
    trainer(tmp_path, max_epochs=2, log_every_n_steps=100).fit(model, Loader(rows(8), 8), Loader(rows(30, seed=1), 7))
    with torch.no_grad():
        results = [model.task.eval()(batch) for batch in Loader(rows(30, seed=1), 30)]
    expected = results[0].loss.item() / results[0].weight.item()
    assert [metrics["validation/loss"] for metrics in seen] == pytest.approx([expected, expected])
    assert [metrics["validation/rows"] for metrics in seen] == [30, 30]


def test_predictions_are_written_in_the_order_of_the_rows(tmp_path):
    model = learner(folder=tmp_path)
    trainer(tmp_path).test(model, Loader(rows(30), 7, shuffle=True), verbose=False)
    written = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    assert [row["row"] for row in written] == list(range(30))
    assert [row["input"] for row in written] == [sequence[:-1] for sequence in rows(30)]
    assert model.logged_metrics["test/rows"] == 30


def test_dropout_is_a_function_of_seed_epoch_and_batch(tmp_path):
    one, _ = trained(tmp_path, 16, task=NextTokenTask(dropout=0.5))
    torch.randn(1000)
    two, _ = trained(tmp_path, 16, task=NextTokenTask(dropout=0.5))
    without, _ = trained(tmp_path, 16)
    assert_same(one, two, 0)
    assert any((one[name] - without[name]).abs().max() > 1e-3 for name in one)


def test_norms_of_a_step_are_those_of_the_global_gradient_and_of_the_change(tmp_path):
    model, other = (learner(optimizer=Part(SGD, lr=0.5)) for _ in range(2))
    before = torch.cat([value.flatten() for value in weights(model.task).values()])
    trainer(tmp_path, gradient_clip_val=0.01).fit(model, Loader(rows(8), 8))
    after = torch.cat([value.flatten() for value in weights(model.task).values()])
    found = model.logged_metrics
    assert found["train/weight_norm"] == pytest.approx(float(before.norm()), rel=1e-12)
    assert found["train/update_norm"] == pytest.approx(float((after - before).norm()), rel=1e-9)
    assert found["train/update_norm"] == pytest.approx(0.5 * 0.01, rel=1e-4)  # of the clipped gradient
    trainer(tmp_path).fit(other, Loader(rows(8), 8))  # not clipped: the step is lr times the gradient
    assert found["train/gradient_norm"] == pytest.approx(other.logged_metrics["train/update_norm"] / 0.5, rel=1e-9)
    assert found["train/gradient_norm"] > 0.01


@pytest.mark.parametrize(("log_norms", "accumulate"), [(True, 2), (False, 1)])
def test_norms_are_of_accumulated_steps_and_can_be_left_out(tmp_path, log_norms, accumulate):
    model, whole = learner(optimizer=Part(SGD, lr=0.5)), learner(optimizer=Part(SGD, lr=0.5))
    trainer(tmp_path, log_norms=log_norms, accumulate_grad_batches=accumulate).fit(model, Loader(rows(16), 16 // accumulate))
    trainer(tmp_path).fit(whole, Loader(rows(16), 16))
    norms = [f"train/{name}_norm" for name in ("gradient", "weight", "update")]
    if log_norms:
        assert [model.logged_metrics[name] for name in norms] == pytest.approx([whole.logged_metrics[name] for name in norms], rel=1e-6)
    else:
        assert not set(norms) & set(model.logged_metrics)


def test_flops_are_those_of_the_matrix_products(tmp_path):
    model = learner()
    freezes = learner()
    for parameter in freezes.task.stack.parameters():
        parameter.requires_grad_(False)
    for one in (model, freezes):
        trainer(tmp_path).fit(one, Loader(rows(8), 8))
    padded = 8 * max(len(row) - 1 for row in rows(8))
    tokens = sum(len(row) - 1 for row in rows(8))
    forward = 2 * padded * (2 * DIM * DIM + DIM * VOCABULARY)  # two layers and the output
    assert model._throughput.flops == pytest.approx(3 * forward / tokens)
    counts = [sum(each.numel() for each in some) for some in (freezes.task.stack.parameters(), freezes.task.parameters())]
    assert freezes._throughput.flops == pytest.approx((3 - counts[0] / counts[1]) * forward / tokens)
    found = model.logged_metrics
    assert found["train/flops_per_second"] == pytest.approx(found["train/tokens_per_second"] * model._throughput.flops)
    assert "train/mfu" not in found and found["train/memory_mib"] > 10


def test_the_utilization_is_the_share_of_the_most_that_a_device_can_do(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H100 80GB HBM3")
    device = torch.device("cuda")
    assert (peak_flops(device, "bf16-mixed"), peak_flops(device, "32-true")) == (989e12, 67e12)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "an unknown one")
    assert peak_flops(device, "bf16-mixed") is None and peak_flops(torch.device("cpu"), "32-true") is None
    monitor = ThroughputMonitor(torch.device("cpu"))
    monitor.flops, monitor.peak = 100.0, 1e6
    monitor.count_tokens(toys.batch(rows(4), [0, 1, 2, 3]))
    monitor.add_losses({"loss": torch.tensor([1.0, 1.0])})
    found = monitor.compute(SimpleNamespace(reduce=lambda counts, reduce_op: counts))
    assert found["train/mfu"] == pytest.approx(found["train/tokens_per_second"] * 100.0 / 1e6)


def test_groups_with_different_rates_have_one_each(tmp_path):
    model = learner(optimizer=Part(AdamW, lr=0.01, head_lr_multiplier=0.5), schedule=Part("schedule/linear", warmup=0))
    trainer(tmp_path, max_epochs=2).fit(model, Loader(rows(8), 8))
    assert not [name for name in model.logged_metrics if name.startswith("train/lr/")]  # the toy is all head
    model = learner(optimizer=TwoRates)
    trainer(tmp_path).fit(model, Loader(rows(8), 8))
    assert [model.logged_metrics[f"train/lr{end}"] for end in ("", "/1", "/2")] == [0.3, 0.3, 0.1]


def TwoRates(model):
    slow, *fast = model.parameters()
    return torch.optim.SGD([{"params": [slow], "lr": 0.1}, {"params": fast, "lr": 0.3}])
