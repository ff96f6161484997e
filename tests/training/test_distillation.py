"""Learning from a teacher: the losses against the formulas, the steps against a loop by hand, and that no one keeps the teacher."""

import copy
import itertools
from dataclasses import replace
from math import exp, log, sqrt

import pytest
import torch
from torch import nn

from framework.errors import UserError
from framework.registry import Part
from framework.tasks.capabilities import DistillationOutputs
from framework.training.averaging import Average
from framework.training.callbacks import Checkpoint
from framework.training.distillation import StandardDistillation, hidden_loss, soft_loss
from framework.training.optimizers import AdamW
from framework.weights.torch_files import read_checkpoint
from tests.precision import BILLIONTH, rounds_like
from tests.training.test_resume import Killed, Stop, assert_equal, kill
from tests.training.toys import DIM, LOGGED, SGD, VOCABULARY, DistillableToy, Loader, NextTokenTask, learner, rows, trainer, weights


def random_outputs(seed, targets=5, answers=3, dim=4, states=None):
    generator = torch.Generator().manual_seed(seed)
    hidden, logits = ((states or targets, dim), (targets, answers))
    return DistillationOutputs(*(torch.randn(shape, generator=generator, dtype=torch.double) for shape in (hidden, logits)))


def softened(scores, temperature):
    powers = [exp(score / temperature) for score in scores]
    return [power / sum(powers) for power in powers]


@pytest.mark.parametrize("temperature", [1.0, 2.0, 0.5])
def test_soft_targets_are_a_divergence_at_a_temperature(temperature):
    student, teacher = random_outputs(0), random_outputs(1)
    expected = 0.0
    for mine, right in zip(student.logits.tolist(), teacher.logits.tolist(), strict=True):
        pairs = zip(softened(right, temperature), softened(mine, temperature), strict=True)
        expected += temperature**2 * sum(p * (log(p) - log(q)) for p, q in pairs)
    assert soft_loss(student, teacher, temperature).item() == pytest.approx(expected, abs=1e-12)
    assert soft_loss(student, student, temperature).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("targets", [5, 15])
def test_states_are_compared_by_their_direction(targets):
    """Several targets of one hidden state all count."""
    student, teacher = random_outputs(0, targets, states=5), random_outputs(1, targets, states=5)
    expected = 0.0
    for mine, right in zip(student.hidden.tolist(), teacher.hidden.tolist(), strict=True):
        product = sum(a * b for a, b in zip(mine, right, strict=True))
        expected += 1 - product / sqrt(sum(a * a for a in mine) * sum(b * b for b in right))
    assert hidden_loss(student, teacher).item() == pytest.approx(expected * targets / 5, abs=1e-12)
    assert hidden_loss(student, replace(student, hidden=3 * student.hidden)).item() == pytest.approx(0, abs=1e-12)


def test_a_batch_without_targets_has_no_loss():
    empty = DistillationOutputs(torch.zeros(0, 4), torch.zeros(0, 3))
    assert soft_loss(empty, empty, 2.0).item() == hidden_loss(empty, empty).item() == 0


def test_low_precision_is_summed_in_single():
    student, teacher = (
        DistillationOutputs(each.hidden.bfloat16(), each.logits.bfloat16()) for each in (random_outputs(0), random_outputs(1))
    )
    wide = [DistillationOutputs(each.hidden.float(), each.logits.float()) for each in (student, teacher)]
    assert soft_loss(student, teacher, 1.0).dtype == hidden_loss(student, teacher).dtype == torch.float32
    assert hidden_loss(student, teacher).item() == hidden_loss(*wide).item()


MIX = {"temperature": 3.0, "soft": 0.7, "hidden": 0.4, "hard": 0.2}


def by_hand(size, steps, mix, dtype=torch.float64):
    """Two towers, three losses and a step, in plain PyTorch."""
    student, teacher = NextTokenTask().to(dtype), NextTokenTask(seed=7).to(dtype)
    optimizer = torch.optim.SGD(student.parameters(), 0.1, 0.5)
    losses = []
    for batch in itertools.islice(itertools.cycle(Loader(rows(70), size)), steps):
        padding_mask = batch["targets"] != -100
        states = [task.stack(task.embedding(batch["ids"]))[padding_mask] for task in (student, teacher)]
        scores = [task.output(each) for task, each in zip((student, teacher), states, strict=True)]
        q, p = ((each / mix["temperature"]).softmax(-1) for each in scores)
        soft = (p * (p.log() - q.log())).sum(-1).mean() * mix["temperature"] ** 2
        cosine = (states[0] * states[1]).sum(-1) / (states[0].norm(dim=-1) * states[1].norm(dim=-1))
        hard = nn.functional.cross_entropy(scores[0], batch["targets"][padding_mask])
        loss = mix["soft"] * soft + mix["hidden"] * (1 - cosine).mean() + mix["hard"] * hard
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return weights(student), losses


def trained(folder, size=32, accumulate=1, steps=3, mix=MIX, **options):
    student, teacher = DistillableToy(), DistillableToy(seed=7)
    module = learner(student, Part(SGD, lr=0.1, momentum=0.5), distillation=StandardDistillation(teacher, **mix))
    losses = []
    module._log = lambda metrics: losses.append(metrics.get("train/loss"))
    options = {"precision": "64-true", **options}  # of the student, which the teacher takes over
    loop = trainer(folder, max_epochs=-1, max_steps=steps, accumulate_grad_batches=accumulate, **options)
    loop.fit(module, Loader(rows(70), size))
    return module, losses


def near(one, other):
    for name in one:
        torch.testing.assert_close(one[name], other[name], atol=BILLIONTH, rtol=0, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("mix", [MIX, {**MIX, "soft": 0.0}, {**MIX, "hidden": 0.0}, {**MIX, "hard": 0.0}])
@pytest.mark.parametrize(("size", "accumulate"), [(32, 1), (8, 4)])
def test_steps_are_those_of_a_loop_by_hand(tmp_path, size, accumulate, mix):
    """Also with micro-batches and a short accumulation window: the third batch has 6 rows of 32."""
    expected, expected_losses = by_hand(32, 3, mix)
    module, losses = trained(tmp_path, size, accumulate, mix=mix)
    near(expected, weights(module.task))
    assert losses == pytest.approx(expected_losses, rel=LOGGED)
    assert module.task.runs == module.distillation.teacher.runs == 3 * accumulate - (accumulate > 1) * 3  # each model runs once a batch


def test_the_teacher_is_unchanged_and_not_saved(tmp_path):
    teacher = DistillableToy(dropout=0.5, seed=7)
    before = weights(teacher)
    module = learner(DistillableToy(), Part(AdamW, lr=0.01), distillation=StandardDistillation(teacher))
    loop = trainer(tmp_path, callbacks=[Checkpoint(tmp_path, "validation/loss", "min"), Average(decay=0.9)])
    loop.fit(module, Loader(rows(40), 8), Loader(rows(8), 8))
    assert_equal(before, weights(teacher))
    assert not teacher.training and not any(parameter.requires_grad or parameter.grad is not None for parameter in teacher.parameters())
    assert list(module.state_dict()) == [f"task.{name}" for name in before]
    mine = {id(parameter) for parameter in module.task.parameters()}
    assert {id(parameter) for parameter in module.parameters()} == mine
    assert {id(parameter) for group in loop.optimizers[0].param_groups for parameter in group["params"]} <= mine
    saved = read_checkpoint(tmp_path / "checkpoints/last.ckpt")
    tensors = [value for value in flattened(saved) if isinstance(value, torch.Tensor)]
    tables = [value for value in tensors if value.shape == (VOCABULARY, DIM)]
    assert len(tables) == 2 * 4  # embedding and output: the average, the live weights, and two moments of AdamW
    assert not any(torch.equal(value, before[name]) for value in tables for name in ("embedding.weight", "output.weight"))


def flattened(node):
    if isinstance(node, dict):
        node = list(node.values())
    return itertools.chain.from_iterable(map(flattened, node)) if isinstance(node, (list, tuple)) else [node]


def test_dropout_is_drawn_as_without_a_teacher(tmp_path):
    """With a negligible weight of the teacher, the student takes the same steps."""
    found = []
    for distillation in (None, StandardDistillation(DistillableToy(dropout=0.5, seed=7), soft=1e-30, hidden=0.0, hard=1.0)):
        module = learner(DistillableToy(dropout=0.3), Part(SGD, lr=0.1), distillation=distillation)
        trainer(tmp_path).fit(module, Loader(rows(40), 8))
        found.append(weights(module.task))
    assert_equal(*found)


def test_a_killed_run_resumes_with_its_teacher(tmp_path):
    def run(folder, stop=None, resume=None):
        module = learner(
            DistillableToy(dropout=0.3), Part(AdamW, lr=0.02), distillation=StandardDistillation(DistillableToy(seed=7), **MIX)
        )
        callbacks = [Checkpoint(folder, "validation/loss", "min", every_n_train_steps=2), *([stop] if stop else [])]
        loop = trainer(folder, max_epochs=2, callbacks=callbacks)
        loop.fit(module, Loader(rows(40), 8, shuffle=True), Loader(rows(8), 8), ckpt_path=resume)
        return weights(module.task)

    whole = run(tmp_path / "whole")
    with pytest.raises(Killed):
        run(tmp_path / "parts", Stop(7, kill))
    assert_equal(whole, run(tmp_path / "parts", resume=tmp_path / "parts/checkpoints/last.ckpt"))


def test_a_dummy_batch_changes_nothing(tmp_path):
    module = learner(DistillableToy(), Part(SGD, lr=0.5), distillation=StandardDistillation(DistillableToy(seed=7)))
    before = weights(module.task)
    trainer(tmp_path).fit(module, Loader(rows(1), 1, rank=1, world_size=2))
    assert_equal(before, weights(module.task))


def test_evaluation_runs_no_teacher(tmp_path):
    losses = []
    for distillation in (None, StandardDistillation(teacher := DistillableToy(seed=7))):
        module = learner(DistillableToy(), distillation=distillation)
        trainer(tmp_path).validate(module, Loader(rows(20), 8), verbose=False)
        losses.append(module.logged_metrics["validation/loss"])
    assert losses[0] == losses[1] and teacher.runs == 0


def test_the_teacher_has_the_precision_of_the_student(tmp_path):
    module, losses = trained(tmp_path, precision="bf16-true")
    assert module.distillation.teacher.output.weight.dtype == torch.bfloat16
    half, exact = (torch.tensor(by_hand(32, 3, MIX, dtype)[1], dtype=dtype) for dtype in (torch.bfloat16, torch.float64))
    rounds_like([torch.tensor(losses, dtype=torch.bfloat16)], [half], [exact])


class WideTask(DistillableToy):
    """Hidden states of twice the width."""

    def distillation_outputs(self, batch, result):
        return DistillationOutputs(torch.cat((result.output.hidden, result.output.hidden), dim=-1), result.output.logits)


class OtherTask(DistillableToy):
    """One class more."""

    def distillation_outputs(self, batch, result):
        return replace(result.output, logits=nn.functional.pad(result.output.logits, (1, 0)))


@pytest.mark.parametrize(
    ("teacher", "said"),
    [
        (WideTask, f"the teacher's hidden states have {2 * DIM} features and this model's {DIM}: task.distillation.hidden=0 leaves out the "
                   f"cosine loss, model.dim={2 * DIM} makes the widths equal"),
        (OtherTask, f"the teacher has 3 targets of {VOCABULARY + 1} classes and this task 3 targets of {VOCABULARY} classes"),
    ],
)  # fmt: skip
def test_teachers_that_do_not_fit(teacher, said):
    batch = {"ids": torch.tensor([[1, 2, 3]]), "targets": torch.tensor([[2, 3, 4]])}
    task = DistillableToy()
    with pytest.raises(UserError) as error:
        StandardDistillation(teacher())(task, batch, task(batch))
    assert said in str(error.value)


def test_widths_may_differ_without_the_cosine_loss():
    batch = {"ids": torch.tensor([[1, 2, 3]]), "targets": torch.tensor([[2, 3, 4]])}
    task = DistillableToy()
    found = StandardDistillation(WideTask(seed=7), hidden=0.0, soft=1.0, hard=0.0)(task, batch, task(batch))
    expected = StandardDistillation(DistillableToy(seed=7), hidden=0.0, soft=1.0, hard=0.0)(task, batch, task(batch))
    assert found.loss.item() == expected.loss.item() > 0 and found.weight == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"temperature": 0.0}, "temperature must be positive"),
        ({"hard": -1.0}, "soft, hidden and hard must not be negative"),
        ({"soft": 0.0, "hidden": 0.0}, "soft or hidden must be positive"),
    ],
)
def test_options_that_make_no_sense(options, said):
    with pytest.raises(UserError, match=said):
        Part(StandardDistillation, **options)(teacher=DistillableToy())


def test_a_student_learns_a_rule_from_its_teacher_alone(tmp_path):
    """The next token is the last one plus three; all targets are the same token, so only the teacher has the rule."""

    def sequences(count, seed):
        starts = torch.randint(1, VOCABULARY, (count,), generator=torch.Generator().manual_seed(seed)).tolist()
        return [[1 + (start + 3 * step) % (VOCABULARY - 1) for step in range(6)] for start in starts]

    class Blind(Loader):
        def __iter__(self):
            return ({**batch, "targets": torch.ones_like(batch["targets"])} for batch in super().__iter__())

    def right(task):
        (batch,) = Loader(sequences(20, 1), 20)
        return int((task(batch).output.logits.argmax(-1) == batch["targets"].flatten()).sum())

    teacher, student = DistillableToy(seed=7), DistillableToy(seed=8)
    trainer(tmp_path, max_epochs=12).fit(learner(teacher, Part(AdamW, lr=0.03)), Loader(sequences(64, 0), 8))
    assert right(teacher) == 100
    student.stack.layers = student.stack.layers[:1]
    module = learner(student, Part(AdamW, lr=0.03), distillation=StandardDistillation(copy.deepcopy(teacher), hard=0.0))
    assert right(student) < 50
    trainer(tmp_path, max_epochs=12).fit(module, Blind(sequences(64, 0), 8))
    assert right(student) == 100
