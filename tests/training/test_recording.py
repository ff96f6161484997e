"""Auxiliary losses and figures recorded from parts, tasks and callbacks."""

import copy
import csv

import pytest
import torch
from pytorch_lightning.callbacks import Callback
from torch import nn

from framework import Part, Result, UserError, add_loss, log_figure
from framework.testing import texts, toy_model
from framework.tracking.csv_file import CsvTracker
from framework.training.global_mean import GlobalMean
from framework.utils import recording
from framework.utils.recording import nothing_recorded, record_figures, recorded_losses
from tests.precision import BILLIONTH
from tests.training.toys import SGD, Loader, NextTokenTask, PenalizedTask, learner, rows, trainer, weights


class Penalized(nn.Module):
    """A feed-forward network with a penalty on the size of its outputs at real tokens."""

    def __init__(self, dim: int, bias: bool):
        super().__init__()
        self.linear = nn.Linear(dim, dim, bias=bias)

    def forward(self, x, padding_mask=None):
        y = self.linear(x)
        sizes = y.square().mean(-1)  # (B, T)
        counted = torch.ones_like(sizes, dtype=torch.bool) if padding_mask is None else padding_mask
        add_loss("size", sizes * counted, counted.sum())
        log_figure("mean_size", sizes.mean())
        return y


def penalized_by_hand(size, steps):
    """The weights of PenalizedTask after some steps in plain PyTorch."""
    task = PenalizedTask()
    optimizer = torch.optim.SGD(task.parameters(), 0.1)
    loader = Loader(rows(70), size)
    batches = [batch for _ in range(1 + steps // len(loader)) for batch in loader][:steps]
    for batch in batches:
        result = NextTokenTask.forward(task, batch)
        states = task.stack(task.embedding(batch["ids"]))
        tokens = batch["targets"] != -100
        even = (batch["ids"] % 2 == 0) & tokens
        loss = result.loss / result.weight
        loss = loss + 2 * (0.1 * task.extra(states)[..., 0].square() * even).sum() / even.sum()
        loss = loss + (states.norm(dim=-1) * tokens).sum() / (2 * tokens.sum())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return weights(task)


@pytest.mark.parametrize(("size", "accumulate"), [(32, 1), (8, 4)])
def test_each_loss_is_a_mean_over_its_own_global_weight(tmp_path, size, accumulate):
    """Also in the last window of an epoch, which has one micro-batch instead of four."""
    module = learner(PenalizedTask(), Part(SGD, lr=0.1, momentum=0.0))
    loop = trainer(tmp_path, max_epochs=-1, max_steps=7, accumulate_grad_batches=accumulate, logger=[CsvTracker(tmp_path)])
    loop.fit(module, Loader(rows(70), size), Loader(rows(9), 4))
    expected = penalized_by_hand(32, 7)
    for name, value in weights(module.task).items():
        torch.testing.assert_close(value, expected[name], atol=BILLIONTH, rtol=0, msg=lambda text, name=name: f"{name}: {text}")
    logged = table(tmp_path)
    assert {"train/even", "train/norm", "train/tokens", "validation/norm"} <= logged.keys() and "validation/even" not in logged


def table(folder):
    """Column -> step -> value of metrics.csv."""
    columns: dict[str, dict[int, float]] = {}
    with open(folder / "metrics.csv", newline="") as file:
        for row in csv.DictReader(file):
            for name, value in row.items():
                if value and name != "step":
                    columns.setdefault(name, {})[int(row["step"])] = float(value)
    return columns


@pytest.mark.parametrize(
    "stack",
    [Part("encoder/standard"), Part("encoder/shared"), Part("encoder/standard", activation_checkpointing=True)],
    ids=["standard", "shared", "checkpointing"],
)
def test_a_loss_is_summed_over_layers_and_counted_once(stack):
    """Each application of a layer counts, the recomputation of a checkpointed one does not."""
    model, figures = toy_model("encoder_only", num_layers=4, feed_forward=Part(Penalized), encoder=stack), []
    ids = torch.stack(texts(8, 8))
    hidden, sizes = [], []
    for layer in model.encoder.layers:
        layer.feed_forward.linear.register_forward_hook(lambda module, inputs, output: hidden.append(output.detach()))
    record_figures(lambda name, value: figures.append(name))
    try:
        with recorded_losses() as losses:
            model.train()(ids)
        sizes = [output.square().mean(-1).sum() for output in hidden]
        with nothing_recorded():
            losses["size"][0].backward()
    finally:
        record_figures(None)
    assert len(sizes) == 4 and len(figures) == 4
    loss, weight = losses["size"]
    assert float(loss) == pytest.approx(float(sum(sizes))) and float(weight) == ids.numel()


@pytest.mark.parametrize("family", ["encoder_only", "decoder_only", "encoder_decoder"])
def test_padding_is_not_counted(family):
    model = toy_model(family, feed_forward=Part(Penalized))
    ids, mask = torch.stack(texts(6, 6)), torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    longer = torch.nn.functional.pad(ids, (0, 3), value=5)
    wider = torch.nn.functional.pad(mask, (0, 3), value=False)

    def losses(ids, mask):
        with recorded_losses() as found:
            if family == "encoder_decoder":
                model(ids, ids, mask, mask)
            elif family == "decoder_only":
                model(ids, mask, padding_side="right")
            else:
                model(ids, mask)
        return [float(value) for value in found["size"]]

    assert losses(longer, wider) == pytest.approx(losses(ids, mask)) and losses(ids, mask)[1] == 10


def test_padding_on_the_right_needs_no_mask():
    model, (row,) = toy_model("decoder_only", position=Part("position/rotary")), texts(6)
    padded, mask = torch.nn.functional.pad(row, (0, 2), value=3)[None], torch.tensor([[True] * 6 + [False] * 2])
    torch.testing.assert_close(model(padded, mask, padding_side="right")[:, :6], model(row[None]), atol=BILLIONTH, rtol=0)


def test_a_model_can_be_copied_and_evaluation_records_nothing():
    model = toy_model("encoder_only", feed_forward=Part(Penalized))
    with recorded_losses() as losses:
        model(torch.stack(texts(4, 4)))
        copy.deepcopy(model)
    assert losses
    with recorded_losses() as losses:
        with torch.no_grad():
            model(torch.stack(texts(4, 4)))
        with nothing_recorded():
            model(torch.stack(texts(4, 4)))
    assert not losses


def test_a_compiled_model_records_the_same():
    ids, found = torch.stack(texts(8, 8)), []
    for compiled in (False, True):
        model = toy_model("encoder_only", feed_forward=Part(Penalized)).train()
        if compiled:
            model.compile(backend="aot_eager")
        for _ in range(2):
            with recorded_losses() as losses:
                hidden = model(ids)
            (hidden.sum() + losses["size"][0]).backward()
        found.append([float(value) for value in losses["size"]] + [float(model.tokens.weight.grad.square().sum())])
    assert found[0] == pytest.approx(found[1], rel=BILLIONTH)


class Counter(Callback):
    """Figures of a callback, at every place where one may be given."""

    def on_train_start(self, loop, module):
        log_figure("at_start", 1)

    def on_train_batch_start(self, loop, module, batch, index):
        log_figure("before", loop.global_step + 1)

    def on_train_batch_end(self, loop, module, outputs, batch, index):
        log_figure("after", torch.tensor(float(loop.global_step)))

    def on_validation_end(self, loop, module):
        log_figure("validated", loop.global_step)

    def on_train_end(self, loop, module):
        log_figure("at_end", loop.global_step)


@pytest.mark.parametrize("every", [1, 3, 50])
def test_a_figure_is_logged_at_its_step(tmp_path, every):
    """70 rows in batches of 16: 5 steps an epoch, fewer than 50."""
    module = learner(PenalizedTask())
    options = {"log_every_n_steps": every, "callbacks": [Counter()], "logger": [CsvTracker(tmp_path)]}
    trainer(tmp_path, max_epochs=2, **options).fit(module, loader := Loader(rows(70), 16), Loader(rows(9), 4))
    logged, steps = table(tmp_path), range(1, 11)
    assert logged["train/before"] == logged["train/after"] == {step: step for step in steps}
    assert logged["train/at_start"] == {0: 1} and logged["train/at_end"] == {10: 10} and logged["train/validated"] == {5: 5, 10: 10}
    sizes = [batch["ids"].numel() for batch in loader] * 2
    assert logged["train/tokens"] == dict(zip(steps, sizes, strict=True))


def test_a_figure_is_the_mean_over_the_micro_batches(tmp_path):
    module = learner(PenalizedTask())
    loop = trainer(tmp_path, accumulate_grad_batches=2, logger=[CsvTracker(tmp_path)], callbacks=[Counter()])
    loop.fit(module, loader := Loader(rows(70), 16))
    sizes = [batch["ids"].numel() for batch in loader]
    logged = table(tmp_path)
    assert logged["train/tokens"] == {1: sum(sizes[:2]) / 2, 2: sum(sizes[2:4]) / 2, 3: sizes[4]}
    assert logged["train/before"] == {1: 1, 2: 2, 3: 3}


class Decay(Callback):
    """A penalty on the weights: a loss that a callback adds before each forward pass, of each micro-batch."""

    def on_train_batch_start(self, loop, module, batch, index):
        add_loss("decay", 0.5 * module.task.output.weight.square().sum())

    def on_before_backward(self, loop, module, loss):
        add_loss("too_late", module.task.output.weight.sum())


@pytest.mark.parametrize("accumulate", [1, 4])
def test_a_callback_adds_a_loss(tmp_path, accumulate):
    module, expected = learner(NextTokenTask(), Part(SGD, lr=0.1, momentum=0.0)), NextTokenTask()
    loop = trainer(tmp_path, max_epochs=-1, max_steps=2, accumulate_grad_batches=accumulate, callbacks=[Decay()])
    loop.fit(module, Loader(rows(64), 32 // accumulate), Loader(rows(9), 4))
    optimizer = torch.optim.SGD(expected.parameters(), 0.1)
    for batch in Loader(rows(64), 32):
        result = expected(batch)
        optimizer.zero_grad()
        (result.loss / result.weight + 0.5 * expected.output.weight.square().sum()).backward()
        optimizer.step()
    for name, value in weights(module.task).items():
        torch.testing.assert_close(value, weights(expected)[name], atol=BILLIONTH, rtol=0, msg=lambda text, name=name: f"{name}: {text}")
    assert "train/decay" in module.logged_metrics and "train/too_late" not in module.logged_metrics


@pytest.mark.parametrize("hook", ["on_train_batch_start", "on_validation_end", "on_train_batch_end"])
def test_nothing_is_recorded_after_an_exception(tmp_path, hook):
    def fail(*arguments):
        raise RuntimeError("stop")

    module, callback = learner(PenalizedTask()), Callback()
    setattr(callback, hook, fail)
    with pytest.raises(RuntimeError, match="stop"):
        trainer(tmp_path, callbacks=[callback]).fit(module, Loader(rows(8), 8), Loader(rows(8), 8))
    assert (recording._losses, recording._figure) == (None, None)


def test_nothing_is_kept_after_training(tmp_path):
    module = learner(PenalizedTask())
    trainer(tmp_path).fit(module, Loader(rows(8), 8))
    module.task(next(iter(Loader(rows(8), 8))))
    log_figure("later", 1)
    assert module._figures.take() == {}


@pytest.mark.matrix(0.5, axes=())
@pytest.mark.parametrize(("call", "words"), [
    (lambda: add_loss("loss", torch.ones(2, requires_grad=True)), ("add_loss('loss')", "padding")),
    (lambda: log_figure("lr", 1.0), ("log_figure('lr')",)),
    (lambda: log_figure("vector", torch.ones(2)), ("one number", "[2]")),
])  # fmt: skip
def test_mistakes(tmp_path, call, words):
    class Mistaken(NextTokenTask):
        def forward(self, batch):
            call()
            return super().forward(batch)

    with pytest.raises(UserError) as error:
        trainer(tmp_path).fit(learner(Mistaken()), Loader(rows(8), 8))
    assert all(word in str(error.value) for word in words)


def test_a_loss_without_gradient_is_logged(tmp_path):
    class Constant(NextTokenTask):
        def forward(self, batch) -> Result:
            add_loss("constant", torch.tensor([1.0, 2.0]))
            return super().forward(batch)

    for accumulate in (1, 2):
        module = learner(Constant())
        trainer(tmp_path, accumulate_grad_batches=accumulate).fit(module, Loader(rows(32), 8))
        assert module.logged_metrics["train/constant"] == pytest.approx(1.5)


def test_a_name_that_only_one_process_knows_is_refused():
    class Ranks:
        accumulate_grad_batches, world_size = 1, 2

    mean = GlobalMean(Ranks(), [])  # type: ignore[arg-type]
    mean._names = ["loss"]
    with pytest.raises(UserError, match="'late' first appeared after the first step of 2 processes"):
        mean._agree(["loss", "late"])
