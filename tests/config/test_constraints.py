"""Parts that do not fit together are refused before anything is built: with all reasons at once, and with remedies that work."""

import re
from random import Random

import pytest

from framework.config import catalogue as index
from framework.config.compose import compose
from framework.config.constraints import conflicts, explicit, is_node
from framework.errors import UserError
from framework.runs.resume import following

pytestmark = pytest.mark.hydra  # also with a newer one: make test-hydra

WAYS = "Any one of these resolves it: "


def refusal(*words):
    with pytest.raises(UserError) as refused:
        compose(list(words))
    return str(refused.value)


def ways(said):
    """The overrides that a refusal names."""
    (line,) = [line for line in said.splitlines() if line.startswith(WAYS)]
    return [f"{key}={name}" for key, names in re.findall(r"([\w/]+)=([\w|]+)", line.removeprefix(WAYS)) for name in names.split("|")]


REFUSED = {
    "keys that are summed have no score": (["model/attention=linear", "model/position=alibi"], "no scores to add a position bias"),
    "keys that are summed stay": (["model/attention=linear", "model.decoder.window=3"], "cannot drop those outside a window"),
    "a translation needs a source": (["task=translation", "model=bert_tiny"], "this task needs an encoder-decoder"),
    "an encoder cannot go on": (["model=bert_tiny"], "a text is continued by a decoder"),
    "a decoder's first token knows nothing": (
        ["task=classification", "model=tiny_decoder", "task.pooling=first"],
        "choose task.pooling=last",
    ),
    "no encoder to look at": (["model/decoder=cross"], "cross-attention needs an encoder"),
    "no look at the encoder": (["task=translation", "model/decoder=standard"], "no cross-attention"),
}


@pytest.mark.parametrize(("words", "reason"), REFUSED.values(), ids=REFUSED)
def test_the_reason_is_given_and_every_way_out_is_one(words, reason):
    said = refusal(*words)
    assert reason in said
    found = ways(said)
    assert found
    for way in Random(0).sample(found, min(len(found), 2)):  # the same ones every time
        key = way.partition("=")[0]
        compose([*(word for word in words if not word.startswith((f"{key}=", f"{key}."))), way])


def test_numbers_that_do_not_fit_are_in_the_reason():
    said = refusal("model.dim=30")
    assert "model.decoder.attention = multi_head: dim must be a multiple of num_heads" in said and "dim=30, num_heads=4" in said
    assert "num_heads must be a multiple of num_kv_heads" in refusal("model/attention=multi_head", "model.attention.num_kv_heads=3")


def test_all_conflicts_are_told_at_once():
    said = refusal("model/attention=linear", "model/position=relative", "model.decoder.window=3", "model.dropout=1.5")
    for reason in ("no scores to add a position bias", "cannot drop those outside a window", "dropout must be in"):
        assert reason in said


def test_one_reason_at_several_places_is_told_once():
    said = refusal("task=translation", "model.dim=30")
    assert said.count("dim must be a multiple of num_heads") == 1
    for place in ("model.encoder.attention", "model.decoder.attention", "model.decoder.cross"):
        assert place in said


@pytest.mark.matrix(0.5, axes=())
@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["model.dim=0"], "dim=0"),
        (["model.dim=30"], "dim=30"),
        (["task=classification", "task.dropout=1"], "dropout=1"),
        (["task=translation", "task/decoding=beam", "task.decoding.num_return_sequences=9"], "num_return_sequences=9"),
        (["task=translation", "task.label_smoothing=2"], "label_smoothing=2"),
        (["task=pretraining", "task.format.share=2"], "share=2"),
        (["optimizer.layer_decay=0"], "layer_decay=0"),
    ],
)
def test_a_wrong_value_is_not_answered_with_another_part(words, option):
    said = refusal(*words)
    assert option in said and WAYS not in said


def test_a_wrong_value_does_not_hide_the_ways_out_of_a_conflict_between_parts():
    said = refusal("model/attention=linear", "model/position=alibi", "model.dropout=1.5")
    assert "dropout=1.5" in said and "model/position=rotary" in said.replace("|", " model/position=")


def test_cross_attention_is_an_excluded_slot():
    """Neither the position nor the window of its stack applies to it."""
    words = ["task=translation", "model/decoder/cross=linear"]
    compose([*words, "model/decoder/position=alibi", "model.decoder.window=3"])
    assert "model.decoder.attention" in refusal(*words, "model/decoder/position=alibi", "model/decoder/attention=linear")


def test_a_stack_is_a_scope_boundary():
    """Traits inside one stack do not reach the other."""
    words = ["task=translation", "model/encoder/attention=linear"]
    compose([*words, "model/decoder/position=alibi", "model.decoder.window=3"])
    said = refusal(*words, "model/encoder/position=alibi")
    assert "model.encoder.attention" in said and "model.decoder" not in said.partition(WAYS)[0]


def test_the_parts_that_slots_follow_are_not_built_and_break_no_rule():
    """Every stack has another attention here, so `model.attention` is built nowhere."""
    compose(["model/attention=linear", "model/position=alibi", "model/decoder/attention=multi_head"])
    compose(["model/attention=linear", "model/decoder/position=rotary", "model/position=alibi"])


class Invented:
    """A catalogue of parts that exist nowhere else."""

    presets: dict = {}

    def __init__(self, **options):
        self.options = {}
        for key, slots in options.items():
            kind, _, name = key.partition("__")
            slots = {slot: {"kind": of, "default": None, "follows": follows} for slot, (of, follows) in slots.items()}
            self.options.setdefault(kind, {})[name] = {"slots": slots, "fields": {}, "declarations": {}}

    def option(self, part):
        kind, _, name = part.partition("/")
        return self.options[kind][name]


def test_a_slot_follows_its_nearest_owner():
    catalogue = Invented(
        top__a={"paint": ("paint", None), "room": ("room", None)},
        room__a={"paint": ("paint", "paint"), "wall": ("wall", None)},
        wall__a={"paint": ("paint", "paint")},
        paint__red={},
        paint__blue={},
    )
    red, blue, wall = {"part": "paint/red"}, {"part": "paint/blue"}, {"part": "wall/a", "paint": None}
    top = {"part": "top/a", "paint": red, "room": {"part": "room/a", "paint": blue, "wall": wall}}
    room = explicit(top, catalogue)["room"]
    assert (room["paint"], room["wall"]["paint"]) == (blue, blue)
    assert explicit({**top, "room": {**top["room"], "paint": None}}, catalogue)["room"]["wall"]["paint"] == red


def test_rules_see_traits_of_the_parts_around_but_not_beyond_a_scope_boundary():
    catalogue = Invented(
        house__a={"stove": ("stove", None), "room": ("room", None), "shed": ("room", None)},
        room__a={"stove": ("stove", None), "bed": ("bed", None)},
        stove__hot={},
        stove__cold={},
        bed__straw={},
    )
    catalogue.options["stove"]["hot"]["declarations"] = {"provides": ["fire"]}
    catalogue.options["bed"]["straw"]["declarations"] = {"rules": {"'fire' not in provided": "straw burns"}}
    catalogue.options["room"]["a"]["declarations"] = {"scope_boundary": True}
    hot, cold, bed = {"part": "stove/hot"}, {"part": "stove/cold"}, {"part": "bed/straw"}

    def burning(stove, inside, beside):
        rooms = {"room": {"part": "room/a", "stove": inside, "bed": bed}, "shed": {"part": "room/a", "stove": beside, "bed": bed}}
        return [conflict.path for conflict in conflicts({"house": {"part": "house/a", "stove": stove, **rooms}}, catalogue)]

    assert burning(cold, cold, cold) == []
    assert burning(cold, hot, cold) == ["house.room.bed"]
    assert burning(cold, cold, hot) == ["house.shed.bed"]
    assert burning(hot, cold, cold) == ["house.room.bed", "house.shed.bed"]
    catalogue.options["room"]["a"]["declarations"] = {}
    assert burning(cold, hot, cold) == ["house.room.bed", "house.shed.bed"]
    catalogue.options["house"]["a"]["declarations"] = {"excluded_slots": ["shed"]}
    assert burning(hot, cold, cold) == ["house.room.bed"]


def test_a_trait_may_depend_on_an_option():
    (provides,) = {str(index.load().option(f"decoder/{name}")["declarations"]["provides"]) for name in ("standard", "cross")}
    assert "window is not None" in provides
    compose(["model/attention=linear", "model.decoder.window=null"])
    refusal("model/attention=linear", "model.decoder.window=[3,null,3,null]", "model.num_layers=4")


@pytest.mark.parametrize(
    "words", [["task=classification"], ["task=translation"], ["model=llama_8b"], ["task=ner", "model=modernbert_base"]]
)
def test_following_slots_are_filled_again_by_explicit(words):
    catalogue = index.load()
    for node in compose(words).config.values():
        if is_node(node):
            assert explicit(following(node, node, catalogue), catalogue) == node


def test_only_slots_equal_to_the_one_they_follow_become_null():
    catalogue = index.load()
    model = compose(["task=translation", "model.attention.num_kv_heads=2", "model/decoder/cross=linear"]).config["model"]
    found = following(model, model, catalogue)
    assert found["encoder"]["attention"] is None and found["decoder"]["attention"] is None
    assert found["decoder"]["cross"]["part"] == "attention/linear" and found["attention"]["num_kv_heads"] == 2
