"""The jobs of a sweep from its command line, their identity and names, and the space of a search."""

import random
import re
from itertools import product

import pytest

from framework.config.space import Axis, Space
from framework.config.sweeping import expand, identity, names, parse_overrides, trains_folds, with_folds
from framework.errors import UserError

pytestmark = pytest.mark.hydra  # also with a newer one: make test-hydra


def jobs(*words):
    return expand(parse_overrides(words))


def test_every_value_with_every_other_the_last_first():
    expected = [("task=ner", f"seed={seed}", f"model.dim={dim}") for seed, dim in product((0, 1, 2), (8, 16))]
    assert jobs("task=ner", "seed=range(3)", "model.dim=8,16") == expected
    assert jobs("seed=1", "seed=2") == [("seed=2",)] and jobs() == [()]
    assert jobs("seed=1,2", "~callbacks.progress") == [("seed=1", "~callbacks.progress"), ("seed=2", "~callbacks.progress")]
    assert jobs("task=choice(ner,completion)") == [("task=ner",), ("task=completion",)]
    assert jobs("model/norm=glob(r*)") == [("model/norm=rms",)]
    assert jobs("data.train=[a.csv,b.csv]", "name='a,b'") == [("data.train=[a.csv,b.csv]", "name='a,b'")]


@pytest.mark.parametrize("word", ["optimizer.lr=interval(0,1)", "model/norm=glob(nothing*)", "model.dim=range(0)", "seed=(1"])
def test_words_without_jobs_are_refused(word):
    with pytest.raises(UserError):
        jobs(word, "seed=1,2")


def test_a_cross_validation_is_a_sweep_over_its_folds():
    assert with_folds(["task=ner", "data.folds=3"]) == ["task=ner", "data.folds=3", "data.fold=1,2,3"]
    for words in (["data.folds=3", "data.fold=2"], ["data.folds=3", "data.fold=1,2"], ["data.folds=null"], ["seed=1"]):
        assert with_folds(words) == words and not trains_folds(words)
    for value in ("3,5", "x", "1", "0", ""):
        with pytest.raises(UserError, match=f"data.folds={value}"):
            with_folds([f"data.folds={value}"])


def test_two_jobs_are_the_same_in_any_order_and_quotes():
    words = ["task=ner", "model/position=rotary", "seed=1", "optimizer.lr=1e-3"]
    shuffled = random.Random(0).sample(words, 4)
    assert shuffled != words and identity(words) == identity(shuffled) == identity([*words, "name=x", "runs=elsewhere"])
    assert identity(words) == identity([word.replace("=rotary", "='rotary'") for word in words])
    assert identity(words) != identity([*words, "seed=2"]) != identity(words[:-1])
    assert identity(["~callbacks.progress"]) != identity(["callbacks.progress="])


def test_a_name_says_what_differs():
    one, two = ["task=ner", "model/encoder/position=rotary", "seed=0"], ["task=ner", "model/encoder/position=alibi", "seed=0"]
    assert names([one, two]) == ["position=rotary", "position=alibi"] and names([one]) == [""]
    both = [[*one, "model/decoder/position=rotary"], [*two, "model/decoder/position=alibi"]]
    assert names(both) == ["encoder.position=rotary,decoder.position=rotary", "encoder.position=alibi,decoder.position=alibi"]
    assert names([[*one, "optimizer.lr=0.1"], one]) == ["lr=0.1", ""]
    assert names([["optimizer.lr=0.00012345678"], ["optimizer.lr=1e-05"]]) == ["lr=0.000123", "lr=1e-05"]
    assert names([["seed=12345678"], ["seed=2"]]) == ["seed=12345678", "seed=2"]
    assert names([["model.pretrained=runs/ner/a_b"], ["model.pretrained=null"]]) == ["pretrained=a_b", "pretrained=null"]


VALUES = ["../../x", "a/../..", "größe", "[1, 2]", "a b\nc", "x" * 300, "ü" * 300, "'", "\ud800", ".", "-rf", "$(x)"]


@pytest.mark.parametrize("value", VALUES)
def test_a_name_is_safe_and_short(value):
    (name, _) = names([[f"data.train={value}"], ["data.train=b"]])
    assert re.fullmatch(r"[\w.,=+-]*", name) and len(name.encode()) <= 80 and ".." not in name.split("=", 1)[-1][:2]


def space(*words, folders=()):
    return Space.of(["sweep=optuna", *words], folders)


LOG = "log_uniform_values"
AXES = {
    "a=interval(0.5,2)": (Axis((), 0.5, 2.0), "0.5 2.0", {"distribution": "uniform", "min": 0.5, "max": 2.0}),
    "a=tag(log,interval(0.1,1))": (Axis((), 0.1, 1.0, log=True), "0.1 1.0", {"distribution": LOG, "min": 0.1, "max": 1.0}),
    "a=int(interval(1,8))": (Axis((), 1, 8, True), "1 8", {"distribution": "int_uniform", "min": 1, "max": 8}),
    "a=tag(log,int(interval(1,8)))": (Axis((), 1, 8, True, True), "1 8", {"distribution": f"q_{LOG}", "min": 1, "max": 8, "q": 1}),
    "a=range(1,5)": (Axis((), 1, 4, True, step=1.0), "1 4", {"distribution": "int_uniform", "min": 1, "max": 4}),
    "a=range(2,9,2)": (Axis((), 2, 8, True, step=2.0), "2 8", {"distribution": "q_uniform", "min": 2, "max": 8, "q": 2}),
    "a=range(0,1,0.25)": (Axis((), 0, 0.75, step=0.25), "0.0 0.75", {"distribution": "q_uniform", "min": 0, "max": 0.75, "q": 0.25}),
    "a=choice(64,128)": (Axis(("64", "128")), "64 128", {"values": ["64", "128"]}),
    "a=rotary,alibi": (Axis(("rotary", "alibi")), "rotary alibi", {"values": ["rotary", "alibi"]}),
}


@pytest.mark.parametrize(("word", "axis", "ends", "wandb"), [(word, *each) for word, each in AXES.items()], ids=list(AXES))
def test_an_axis_is_what_hydras_grammar_says(word, axis, ends, wandb):
    found = space(word).axes["a"]
    assert found == axis and found.ends() == tuple(ends.split()) and found.wandb() == wandb


WRONG = ["a=1", "a=interval(2,1)", "a=tag(log,interval(0,1))", "a=1,2 sweep.trials=0", "a=1,2 sweep.trials=many", "sweep=trainin"]
WRONG += ["a=1,2 sweep.sampler=best", "a=1,2 sweep.prunner=none", "a=tag(log,range(1,5))"]


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_space_is_refused(words):
    named = {"a=1": "nothing to choose"}.get(words) or words.split()[-1].partition("=")[0]
    with pytest.raises(UserError, match=re.escape(named)):
        space(*words.split())


def test_what_is_typed_comes_before_the_preset(tmp_path):
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "mine.yaml").write_text(
        "# mine\ntrials: 7\npruner: none\nspace: {optimizer.lr: 'interval(0.1, 1)', model.dim: '8,16'}\n"
    )
    found = Space.of(["sweep=mine", "optimizer.lr=0.5", "seed=1,2", "sweep.trials=3"], [tmp_path])
    assert set(found.axes) == {"model.dim", "seed"} and found.fixed == ("optimizer.lr=0.5",)
    assert (found.trials, found.sampler, found.pruner) == (3, "tpe", "none")
    assert found.points() == [{"model.dim": "8", "seed": "1"}, {"model.dim": "16", "seed": "1"}, {"model.dim": "8", "seed": "2"}]
    more = Space.of(["sweep.trials=30", "seed=1,2", "name=x", "optimizer.lr=0.5", "sweep=mine"], [tmp_path])
    assert more.identity() == found.identity() != Space.of(["sweep=mine", "optimizer.lr=0.6", "seed=1,2"], [tmp_path]).identity()
    (tmp_path / "sweep" / "mine.yaml").write_text("trial: 7\n")
    with pytest.raises(UserError, match="mine.yaml"):
        Space.of(["sweep=mine", "seed=1,2"], [tmp_path])
