"""The registry: names, context arguments, slots, and the errors of each."""

import subprocess
import sys
from pathlib import Path

import pytest

from framework import registry
from framework.errors import UserError
from framework.registry import Part, build, choice, register

ROOT = Path(__file__).resolve().parents[2]


class PlainFruit:
    """A fruit."""

    rules = {"size % cut == 0": "a fruit is cut into equal pieces"}

    def __init__(self, size: int, cut: int = 1, ripe: bool | None = None):
        self.size, self.cut, self.ripe = size, cut, ripe


class SweetFruit(PlainFruit):
    """A sweet fruit."""


class Bowl:
    """Holds a fruit."""

    def __init__(self, size: int, fruit: Part = choice("fruit", "plain"), other: Part = choice("fruit", "sweet", follows="fruit")):
        self.fruit, self.other = fruit(size=size, color="red"), other(size=size, color="red")


@pytest.fixture(autouse=True)
def fruit(monkeypatch):
    """Kinds that no test but these knows: in the registry of the process they would be parts of everybody's catalogue."""
    monkeypatch.setattr(registry, "_classes", {})
    monkeypatch.setattr(registry, "_catalogue", None)
    for kind, cls in (("fruit", PlainFruit), ("fruit", SweetFruit), ("bowl", Bowl)):
        register(kind)(cls)


def test_names_drop_their_kind():
    assert registry.option_name("MultiHeadAttention", "attention") == "multi_head"
    assert registry.option_name("RMSNorm", "norm") == "rms"
    assert registry.option_name("AdamW", "optimizer") == "adam_w"


def test_build_takes_values_from_the_node_and_the_rest_from_the_context():
    fruit = build({"part": "fruit/plain", "cut": 2}, size=4, color="green")
    assert (type(fruit), fruit.size, fruit.cut) == (PlainFruit, 4, 2)


def test_slots_are_built_by_their_owner():
    bowl = build({"part": "bowl/bowl", "fruit": {"part": "fruit/sweet", "cut": 3}, "other": None}, size=3)
    assert (type(bowl.fruit), bowl.fruit.cut, type(bowl.other)) == (SweetFruit, 3, SweetFruit)


def test_a_following_slot_takes_the_offer_of_the_slot_it_follows():
    assert type(Part(Bowl)(size=2, fruit=Part(SweetFruit)).other) is SweetFruit
    assert type(Part(Bowl)(size=2, fruit=Part(PlainFruit)).other) is PlainFruit
    assert type(Part(Bowl, other=Part(SweetFruit))(size=2, fruit=Part(PlainFruit)).other) is SweetFruit


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: build({"part": "fruit/plian"}, size=1), ["no fruit 'plian'", "did you mean 'plain'", "sweet"]),
        (lambda: build({"part": "fruit/plain", "cutt": 2}, size=1), ["fruit/plain has no option 'cutt'", "did you mean 'cut'", "ripe"]),
        (lambda: build({"part": "fruit/plain"}, color="red"), ["needs 'size'", "it passes: color"]),
        (lambda: build({"part": "fruit/plain", "cut": 2}, size=3), ["equal pieces", "size=3", "cut=2"]),
        (lambda: build({"part": "fruit/plain", "size": 2}, size=3), ["no option 'size'"]),
    ],
)
def test_refusals_name_what_and_what_would_be_right(make, words):
    with pytest.raises(UserError) as refusal:
        make()
    assert all(word in str(refusal.value) for word in words), refusal.value


def test_a_name_is_taken_once_and_both_places_are_named():
    with pytest.raises(UserError, match=r"fruit/plain is registered twice: .*PlainFruit and .*Bowl"):
        register("fruit", "plain")(Bowl)


def test_a_rule_about_others_is_skipped_in_plain_python_and_every_other_one_is_not():
    class Berry(PlainFruit):
        rules = {
            "'bowl' not in provided": "known in a config alone",
            "weight < 3": "an option of an owner",
            "all(part > 0 for part in parts)": "parts must be positive",
            "inner_part != 'sweet'": "inner must not be sweet",
            "plate == 'white'": "plate must be white",
        }
        framework_options, plate = ("plate",), "white"

        def __init__(self, parts: list[int] | None = None, inner: Part = choice("fruit", "plain")):
            pass

    assert isinstance(Part(Berry, parts=[1])(), Berry)
    for values in ({"parts": [1, 0]}, {"parts": [], "inner": Part(SweetFruit)}, {"parts": [], "plate": "blue"}):
        with pytest.raises(UserError, match=f"{list(values)[-1]} must"):
            Part(Berry, **values)()


def test_a_rule_is_a_python_expression():
    with pytest.raises(UserError, match=r"fruit/sour \(.*Sour\): the rule 'size >' is not a Python expression"):

        @register("fruit")
        class Sour(PlainFruit):
            rules = {"size >": "a fruit has a size"}

    with pytest.raises(UserError, match="the rule 'cut is' is not a Python expression"):

        @register("fruit")
        class Cut(PlainFruit):
            rules, provides = {}, {"pieces": "cut is"}


class Everybody:
    """A catalogue with one option of an owner, and no package but ours."""

    packages = {"framework": ""}

    def home(self, part):
        return None

    def names(self, kind):
        return []

    def rule_names(self):
        return {"shelf"}


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("sizee > 1", ["'sizee'", "did you mean 'size'"]),
        ("shelff == 1", ["'shelff'", "did you mean 'shelf'"]),
        ("ripe > 0", ["'ripe'", "may be null", "'ripe is None or ripe > 0'"]),
        ("cut > 1 and ripe < cut", ["'ripe'", "may be null"]),
    ],
)
def test_a_wrong_rule_is_refused_at_registration_with_the_class(monkeypatch, rule, words):
    monkeypatch.setattr(registry, "_catalogue", Everybody)
    with pytest.raises(UserError, match=r"fruit/sour \(.*SourFruit\)") as refusal:

        @register("fruit")
        class SourFruit(PlainFruit):
            rules = {rule: "a reason"}

    assert all(word in str(refusal.value) for word in words), refusal.value
    assert "sour" not in registry.registered()["fruit"]


@pytest.mark.parametrize("rule", ["shelf == 1 and size > 0", "ripe is None or ripe > 0", "'x' in provided and cut > 0"])
def test_a_rule_that_is_right_is_taken(monkeypatch, rule):
    monkeypatch.setattr(registry, "_catalogue", Everybody)
    register("fruit", "sour")(type("SourFruit", (PlainFruit,), {"rules": {rule: "a reason"}}))
    assert "sour" in registry.registered()["fruit"]


@pytest.mark.parametrize(("kind", "meant"), [("attentoin", "attention"), ("atention", "attention"), ("norms", "norm"), ("bowls", "bowl")])
def test_a_kind_that_is_nearly_another_is_asked_about(kind, meant):
    with pytest.raises(UserError, match=f"SweetFruit.*no kind '{kind}' .did you mean '{meant}'.*register.'{kind}', new_kind=True"):
        register(kind)(SweetFruit)
    register(kind, "sweet", new_kind=True)(SweetFruit)
    assert registry.get(f"{kind}/sweet") is SweetFruit
    register("vegetable")(SweetFruit)  # is near to none


def test_an_attribute_that_the_contract_asks_for_is_named():
    from framework import Attention

    class HalfAttention(Attention):
        """Sets no rotary_dim."""

        def __init__(self, dim: int):
            super().__init__()

    class WholeAttention(HalfAttention):
        rotary_dim = 4

    with pytest.raises(UserError, match=r"HalfAttention.* has no attribute 'rotary_dim', which every Attention has"):
        Part(HalfAttention)(dim=8)
    assert Part(WholeAttention)(dim=8).rotary_dim == 4


def test_an_attribute_that_an_owner_reads_is_named(monkeypatch):
    """Of a part that inherits no base class."""
    from framework.runs import build as module

    monkeypatch.undo()
    norm = Part("norm/rms")(dim=8, epsilon=1e-5, bias=False)
    monkeypatch.setattr(module, "build_task", lambda config, spec: norm.rotary_dim)
    with pytest.raises(UserError, match=r"norm/rms .*RMSNorm.* has no attribute 'rotary_dim'"):
        module.build_on_meta({"tokenizer": {"vocab_size": 300}, "model": {"max_length": 8}})


def test_a_part_is_found_without_loading_anything_first():
    program = "from framework.registry import Part; print(Part('position/rotary')().base, end='')"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "10000.0"


def test_context_arguments_may_have_a_default():
    @register("fruit", "given", context=("ripe",))
    class Given(PlainFruit):
        pass

    assert Part(Given)(size=1, ripe=True).ripe is True
    with pytest.raises(UserError, match="no option 'ripe'"):
        Part(Given, ripe=True)(size=1)


class Eaten:
    """A kind with options that its builder reads."""

    framework_options = ("plate", "napkin")
    plate, napkin = "white", None


class EatenWarm(Eaten):
    """An option more; it does not say the others again."""

    framework_options = ("fork",)
    fork = True

    def __init__(self, heat: int = 3):
        self.heat = heat


def test_framework_options_are_those_of_all_bases():
    assert registry.signature(EatenWarm).framework_options == ("plate", "napkin", "fork")
    assert registry.signature(EatenWarm).fields == {"heat": 3, "plate": "white", "napkin": None, "fork": True}
    assert Part(EatenWarm, plate="blue", heat=5)().heat == 5


def test_a_constructor_does_not_ask_for_a_framework_option():
    class Greedy(EatenWarm):
        def __init__(self, plate: str = "mine"):
            pass

    with pytest.raises(UserError, match="Greedy asks for 'plate', an option that the framework reads itself: it needs another name"):
        registry.signature(Greedy)


class Boxed:
    def __init__(self, size: int, color: str = "red", ripe: bool = False):
        self.size, self.color, self.ripe = size, color, ripe


class BoxedTwice(Boxed):
    def __init__(self, ripe: bool = True, lid: str | None = None, **options):
        super().__init__(ripe=ripe, **options)
        self.lid = lid


class BoxedAgain(BoxedTwice):
    """No constructor of its own."""


def test_options_that_are_passed_on_are_those_of_the_base():
    signature = registry.signature(BoxedAgain)
    assert signature.fields == {"color": "red", "ripe": True, "lid": None} and signature.required == {"size"}
    assert signature.constructors == [BoxedTwice, Boxed]
    box = Part(BoxedAgain, lid="tin", color="blue")(size=3, weight=1)
    assert (box.size, box.color, box.ripe, box.lid) == (3, "blue", True, "tin")
    with pytest.raises(UserError, match="no option 'lit'.*did you mean 'lid'"):
        Part(BoxedAgain, lit="tin")(size=3)
