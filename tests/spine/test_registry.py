"""The registry: names, offers, slots, and the errors of each."""

import pytest

from framework import registry
from framework.errors import UserError
from framework.registry import Part, build, choice, register


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
    for kind, cls in (("fruit", PlainFruit), ("fruit", SweetFruit), ("bowl", Bowl)):
        register(kind)(cls)


def test_names_drop_their_kind():
    assert registry.option_name("MultiHeadAttention", "attention") == "multi_head"
    assert registry.option_name("RMSNorm", "norm") == "rms"
    assert registry.option_name("AdamW", "optimizer") == "adam_w"


def test_build_takes_values_from_the_node_and_the_rest_from_the_offers():
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
        (lambda: build({"part": "fruit/plain"}, color="red"), ["asks for 'size'", "not on offer here: color"]),
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


def test_given_parameters_are_offered_though_they_have_a_default():
    @register("fruit", "given", given=("ripe",))
    class Given(PlainFruit):
        pass

    assert Part(Given)(size=1, ripe=True).ripe is True
    with pytest.raises(UserError, match="no option 'ripe'"):
        Part(Given, ripe=True)(size=1)


class Eaten:
    """A kind with options that its builder reads."""

    consumed = ("plate", "napkin")
    plate, napkin = "white", None


class EatenWarm(Eaten):
    """An option more; it does not say the others again."""

    consumed = ("fork",)
    fork = True

    def __init__(self, heat: int = 3):
        self.heat = heat


def test_consumed_options_are_those_of_all_bases():
    assert registry.signature(EatenWarm).consumed == ("plate", "napkin", "fork")
    assert registry.signature(EatenWarm).fields == {"heat": 3, "plate": "white", "napkin": None, "fork": True}
    assert Part(EatenWarm, plate="blue", heat=5)().heat == 5


def test_a_constructor_does_not_ask_for_what_is_consumed():
    class Greedy(EatenWarm):
        def __init__(self, plate: str = "mine"):
            pass

    with pytest.raises(UserError, match="Greedy asks for 'plate', an option that the framework reads itself: it needs another name"):
        registry.signature(Greedy)
