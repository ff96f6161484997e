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
from framework.training.averaging import Average
from framework.training.callbacks import Checkpoint
from framework.training.distillation import StandardDistillation, hidden_loss, soft_loss
from framework.training.optimizers import AdamW
from framework.training.reading import read_checkpoint
from framework.training.told import Told
from tests.precision import BILLIONTH, rounds_like
from tests.training.test_resume import Killed, Stop, assert_equal, kill
from tests.training.toys import DIM, FIGURE, SGD, VOCABULARY, Loader, TellingTask, ToyTask, learner, rows, trainer, weights


def told(seed, targets=5, answers=3, dim=4, states=None):
    generator = torch.Generator().manual_seed(seed)
    hidden, logits = ((states or targets, dim), (targets, answers))
    return Told(*(torch.randn(shape, generator=generator, dtype=torch.double) for shape in (hidden, logits)))


def softened(scores, temperature):
    powers = [exp(score / temperature) for score in scores]
    return [power / sum(powers) for power in powers]


@pytest.mark.parametrize("temperature", [1.0, 2.0, 0.5])
def test_soft_targets_are_a_divergence_at_a_temperature(temperature):
    pupil, teacher = told(0), told(1)
    expected = 0.0
    for mine, right in zip(pupil.logits.tolist(), teacher.logits.tolist(), strict=True):
        pairs = zip(softened(right, temperature), softened(mine, temperature), strict=True)
        expected += temperature**2 * sum(p * (log(p) - log(q)) for p, q in pairs)
    assert soft_loss(pupil, teacher, temperature).item() == pytest.approx(expected, abs=1e-12)
    assert soft_loss(pupil, pupil, temperature).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("targets", [5, 15])
def test_states_are_compared_by_their_direction(targets):
    """Of three targets that were told from one state, each counts."""
    pupil, teacher = told(0, targets, states=5), told(1, targets, states=5)
    expected = 0.0
    for mine, right in zip(pupil.hidden.tolist(), teacher.hidden.tolist(), strict=True):
        product = sum(a * b for a, b in zip(mine, right, strict=True))
        expected += 1 - product / sqrt(sum(a * a for a in mine) * sum(b * b for b in right))
    assert hidden_loss(pupil, teacher).item() == pytest.approx(expected * targets / 5, abs=1e-12)
    assert hidden_loss(pupil, replace(pupil, hidden=3 * pupil.hidden)).item() == pytest.approx(0, abs=1e-12)


def test_a_batch_without_targets_has_no_loss():
    empty = Told(torch.zeros(0, 4), torch.zeros(0, 3))
    assert soft_loss(empty, empty, 2.0).item() == hidden_loss(empty, empty).item() == 0


def test_low_precision_is_summed_in_single():
    pupil, teacher = (Told(each.hidden.bfloat16(), each.logits.bfloat16()) for each in (told(0), told(1)))
    wide = [Told(each.hidden.float(), each.logits.float()) for each in (pupil, teacher)]
    assert soft_loss(pupil, teacher, 1.0).dtype == hidden_loss(pupil, teacher).dtype == torch.float32
    assert hidden_loss(pupil, teacher).item() == hidden_loss(*wide).item()


MIX = {"temperature": 3.0, "soft": 0.7, "hidden": 0.4, "hard": 0.2}


def by_hand(size, steps, mix, dtype=torch.float64):
    """Two towers, three losses and a step, in plain PyTorch."""
    pupil, teacher = ToyTask().to(dtype), ToyTask(seed=7).to(dtype)
    optimizer = torch.optim.SGD(pupil.parameters(), 0.1, 0.5)
    losses = []
    for batch in itertools.islice(itertools.cycle(Loader(rows(70), size)), steps):
        real = batch["targets"] != -100
        states = [task.stack(task.embedding(batch["ids"]))[real] for task in (pupil, teacher)]
        scores = [task.output(each) for task, each in zip((pupil, teacher), states, strict=True)]
        q, p = ((each / mix["temperature"]).softmax(-1) for each in scores)
        soft = (p * (p.log() - q.log())).sum(-1).mean() * mix["temperature"] ** 2
        cosine = (states[0] * states[1]).sum(-1) / (states[0].norm(dim=-1) * states[1].norm(dim=-1))
        hard = nn.functional.cross_entropy(scores[0], batch["targets"][real])
        loss = mix["soft"] * soft + mix["hidden"] * (1 - cosine).mean() + mix["hard"] * hard
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return weights(pupil), losses


def trained(folder, size=32, accumulate=1, steps=3, mix=MIX, **options):
    pupil, teacher = TellingTask(), TellingTask(seed=7)
    module = learner(pupil, Part(SGD, lr=0.1, momentum=0.5), distillation=StandardDistillation(teacher, **mix))
    losses = []
    module._log = lambda figures: losses.append(figures.get("train/loss"))
    options = {"precision": "64-true", **options}  # which the teacher takes as well
    loop = trainer(folder, max_epochs=-1, max_steps=steps, accumulate_grad_batches=accumulate, **options)
    loop.fit(module, Loader(rows(70), size))
    return module, losses


def near(one, other):
    for name in one:
        torch.testing.assert_close(one[name], other[name], atol=BILLIONTH, rtol=0, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("mix", [MIX, {**MIX, "soft": 0.0}, {**MIX, "hidden": 0.0}, {**MIX, "hard": 0.0}])
@pytest.mark.parametrize(("size", "accumulate"), [(32, 1), (8, 4)])
def test_steps_are_those_of_a_loop_by_hand(tmp_path, size, accumulate, mix):
    """Also in micro-batches, and with a window that is a short one: the third batch has 6 rows of 32."""
    expected, expected_losses = by_hand(32, 3, mix)
    module, losses = trained(tmp_path, size, accumulate, mix=mix)
    near(expected, weights(module.task))
    assert losses == pytest.approx(expected_losses, rel=FIGURE)
    assert module.task.runs == module.distillation.teacher.runs == 3 * accumulate - (accumulate > 1) * 3  # each model once a batch


def test_the_teacher_stays_as_it_was_and_nobody_keeps_it(tmp_path):
    teacher = TellingTask(dropout=0.5, seed=7)
    before = weights(teacher)
    module = learner(TellingTask(), Part(AdamW, lr=0.01), distillation=StandardDistillation(teacher))
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
    """With all weight on its own loss, and the teacher's too small to see, the pupil goes the same way."""
    found = []
    for distillation in (None, StandardDistillation(TellingTask(dropout=0.5, seed=7), soft=1e-30, hidden=0.0, hard=1.0)):
        module = learner(TellingTask(dropout=0.3), Part(SGD, lr=0.1), distillation=distillation)
        trainer(tmp_path).fit(module, Loader(rows(40), 8))
        found.append(weights(module.task))
    assert_equal(*found)


def test_a_run_that_was_killed_goes_on_with_its_teacher(tmp_path):
    def run(folder, stop=None, resume=None):
        module = learner(TellingTask(dropout=0.3), Part(AdamW, lr=0.02), distillation=StandardDistillation(TellingTask(seed=7), **MIX))
        callbacks = [Checkpoint(folder, "validation/loss", "min", every_n_train_steps=2), *([stop] if stop else [])]
        loop = trainer(folder, max_epochs=2, callbacks=callbacks)
        loop.fit(module, Loader(rows(40), 8, shuffle=True), Loader(rows(8), 8), ckpt_path=resume)
        return weights(module.task)

    whole = run(tmp_path / "whole")
    with pytest.raises(Killed):
        run(tmp_path / "parts", Stop(7, kill))
    assert_equal(whole, run(tmp_path / "parts", resume=tmp_path / "parts/checkpoints/last.ckpt"))


def test_a_ghost_teaches_nothing(tmp_path):
    module = learner(TellingTask(), Part(SGD, lr=0.5), distillation=StandardDistillation(TellingTask(seed=7)))
    before = weights(module.task)
    trainer(tmp_path).fit(module, Loader(rows(1), 1, rank=1, world=2))
    assert_equal(before, weights(module.task))


def test_measuring_asks_no_teacher(tmp_path):
    figures = []
    for distillation in (None, StandardDistillation(teacher := TellingTask(seed=7))):
        module = learner(TellingTask(), distillation=distillation)
        trainer(tmp_path).validate(module, Loader(rows(20), 8), verbose=False)
        figures.append(module.figures["validation/loss"])
    assert figures[0] == figures[1] and teacher.runs == 0


def test_the_teacher_takes_the_precision_of_the_pupil(tmp_path):
    module, losses = trained(tmp_path, precision="bf16-true")
    assert module.distillation.teacher.output.weight.dtype == torch.bfloat16
    half, exact = (torch.tensor(by_hand(32, 3, MIX, dtype)[1], dtype=dtype) for dtype in (torch.bfloat16, torch.float64))
    rounds_like([torch.tensor(losses, dtype=torch.bfloat16)], [half], [exact])


class WideTask(TellingTask):
    """Its states are twice as wide."""

    def told(self, batch, result):
        return Told(torch.cat((result.output.hidden, result.output.hidden), dim=-1), result.output.logits)


class OtherTask(TellingTask):
    """Has one answer more."""

    def told(self, batch, result):
        return replace(result.output, logits=nn.functional.pad(result.output.logits, (1, 0)))


@pytest.mark.parametrize(
    ("teacher", "said"),
    [
        (WideTask, f"the teacher's states have {2 * DIM} features and this model's {DIM}, so there is no cosine between them: "
                   f"task.distillation.hidden=0 leaves it out, model.dim={2 * DIM} makes them equal"),
        (OtherTask, f"the teacher scores {VOCABULARY + 1} answers to each of 3 targets, and this task {VOCABULARY} answers to each of 3 "
                    "targets: they must tell the same things apart"),
        (ToyTask, "ToyTask cannot learn from a teacher: it has no method told(batch, result) that gives, of what forward told, "
                  "Told(hidden (N, D), logits (N, C)) of its N targets"),
    ],
)  # fmt: skip
def test_what_cannot_teach(teacher, said):
    batch = {"ids": torch.tensor([[1, 2, 3]]), "targets": torch.tensor([[2, 3, 4]])}
    task = TellingTask()
    with pytest.raises(UserError) as error:
        StandardDistillation(teacher())(task, batch, task(batch))
    assert said in str(error.value)


def test_other_widths_are_no_matter_without_the_cosine():
    batch = {"ids": torch.tensor([[1, 2, 3]]), "targets": torch.tensor([[2, 3, 4]])}
    task = TellingTask()
    found = StandardDistillation(WideTask(seed=7), hidden=0.0, soft=1.0, hard=0.0)(task, batch, task(batch))
    expected = StandardDistillation(TellingTask(seed=7), hidden=0.0, soft=1.0, hard=0.0)(task, batch, task(batch))
    assert found.loss.item() == expected.loss.item() > 0 and found.weight == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"temperature": 0.0}, "scores are divided by the temperature"),
        ({"hard": -1.0}, "a loss does not count less than nothing"),
        ({"soft": 0.0, "hidden": 0.0}, "nothing is learned from the teacher"),
    ],
)
def test_options_that_make_no_sense(options, said):
    with pytest.raises(UserError, match=said):
        Part(StandardDistillation, **options)(teacher=TellingTask())


def test_a_pupil_learns_a_rule_from_its_teacher_alone(tmp_path):
    """The next token is the last one plus three. The pupil sees no right answer: the targets it is given are all the same one."""

    def sequences(count, seed):
        starts = torch.randint(1, VOCABULARY, (count,), generator=torch.Generator().manual_seed(seed)).tolist()
        return [[1 + (start + 3 * step) % (VOCABULARY - 1) for step in range(6)] for start in starts]

    class Blind(Loader):
        def __iter__(self):
            return ({**batch, "targets": torch.ones_like(batch["targets"])} for batch in super().__iter__())

    def right(task):
        (batch,) = Loader(sequences(20, 1), 20)
        return int((task(batch).output.logits.argmax(-1) == batch["targets"].flatten()).sum())

    teacher, pupil = TellingTask(seed=7), TellingTask(seed=8)
    trainer(tmp_path, max_epochs=12).fit(learner(teacher, Part(AdamW, lr=0.03)), Loader(sequences(64, 0), 8))
    assert right(teacher) == 100
    pupil.stack.layers = pupil.stack.layers[:1]
    module = learner(pupil, Part(AdamW, lr=0.03), distillation=StandardDistillation(copy.deepcopy(teacher), hard=0.0))
    assert right(pupil) < 50
    trainer(tmp_path, max_epochs=12).fit(module, Blind(sequences(64, 0), 8))
    assert right(pupil) == 100
