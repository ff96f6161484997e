"""Composing: precedence, defaults of a task, slots, and every preset with every option."""

import itertools
import random

import pytest
import yaml

from framework.config import catalogue as index
from framework.config.compose import compose, default_name, shorten
from framework.errors import UserError

pytestmark = pytest.mark.hydra  # also with a newer one: make test-hydra

HYDRA_SAYS = ("Could not override", "Key ", "In 'config'", "Config not found", "ConfigKeyError", "Composition error")


WORDS = ["experiment=own", "trainer=lightning", "trainer.max_epochs=3"]
ORDERS = list(itertools.permutations(WORDS))


def at(config, path):
    for key in path.replace("/", ".").split("."):
        config = config[key]
    return config


@pytest.fixture
def mine(tmp_path):
    """A folder of one's own experiments: `write(name, **values)` adds one."""

    def write(name, defaults=(), **values):
        (tmp_path / "experiment").mkdir(exist_ok=True)
        text = yaml.safe_dump({"defaults": [*defaults, "_self_"], **values})
        (tmp_path / "experiment" / f"{name}.yaml").write_text(f"# @package _global_\n# my own\n{text}")
        return [tmp_path]

    return write


def test_the_command_line_comes_before_an_experiment_before_a_recipe_before_a_preset_before_the_signature(mine):
    catalogue = index.load()
    signature = catalogue.option("trainer/lightning")["fields"]
    preset = yaml.safe_load(open(catalogue.presets["trainer"]["default"]["file"], encoding="utf-8"))
    recipe = yaml.safe_load(open(catalogue.presets["recipe/completion"]["scratch"]["file"], encoding="utf-8"))["trainer"]
    folders = mine("own", trainer={"max_epochs": 77, "limit_val_batches": 5})

    plain = compose([]).config["trainer"]
    assert plain["min_epochs"] == signature["min_epochs"]["default"] and "min_epochs" not in preset
    assert plain["devices"] == preset["devices"] != signature["devices"]["default"]
    assert plain["max_epochs"] == recipe["max_epochs"] != preset["max_epochs"]
    own = compose(["experiment=own"], folders).config["trainer"]
    assert (own["max_epochs"], own["limit_val_batches"], own["devices"]) == (77, 5, preset["devices"])
    typed = compose(["experiment=own", "trainer.max_epochs=3"], folders).config["trainer"]
    assert (typed["max_epochs"], typed["limit_val_batches"]) == (3, 5)


@pytest.mark.matrix(0.5, axes=())
@pytest.mark.parametrize("order", ORDERS)
def test_the_order_of_words_does_not_count(order, mine):
    folders = mine("own", trainer={"max_epochs": 77})
    assert compose(list(order), folders).config["trainer"]["max_epochs"] == 3


def test_what_is_typed_or_stands_in_an_experiment_is_not_replaced_by_what_a_task_brings(mine):
    assert (
        compose(["task=classification", "model=encoder_only", "tokenizer=characters"]).config["tokenizer"]["part"] == "tokenizer/characters"
    )
    folders = mine("own", defaults=[{"override /task": "classification"}, {"override /tokenizer": "bytes"}])
    config = compose(["experiment=own"], folders).config
    assert (config["task"]["part"], config["tokenizer"]["part"]) == ("task/classification", "tokenizer/bytes")
    assert compose(["experiment=own", "tokenizer=unigram"], folders).config["tokenizer"]["part"] == "tokenizer/unigram"


def test_a_preset_does_not_block_a_swap():
    """Values of the part that a preset had chosen go with it."""
    for preset in ("tiny_decoder", "decoder_only"):
        config = compose([f"model={preset}", "model/attention=linear", "model/position=rotary", "model/norm=rms"]).config
        assert config["model"]["decoder"]["attention"]["part"] == "attention/linear"
        assert set(config["model"]["norm"]) == {"part", *index.load().option("norm/rms")["fields"]}


def test_a_slot_that_follows_stands_explicit_for_its_owners():
    model = compose(["task=translation", "model/attention=grouped_2"]).config["model"]
    assert model["attention"]["num_kv_heads"] == 2
    assert model["encoder"]["attention"] == model["decoder"]["attention"] == model["decoder"]["cross"] == model["attention"]
    assert model["encoder"]["final_norm"] == model["norm"]


def test_a_slot_that_is_chosen_follows_no_more():
    model = compose(
        ["task=translation", "model/attention=grouped_2", "model/decoder/attention=linear", "model/decoder/position=none"]
    ).config["model"]
    assert model["decoder"]["attention"]["part"] == "attention/linear"
    assert model["encoder"]["attention"] == model["decoder"]["cross"] == model["attention"]
    assert (model["decoder"]["position"]["part"], model["encoder"]["position"]) == ("position/none", model["position"])


def test_a_preset_of_a_part_is_offered_at_every_slot_of_its_kind():
    for path, kind in index.load().groups():
        if kind == "attention":
            task = "classification" if path.startswith("model/encoder") else "translation" if path.endswith("cross") else "completion"
            node = at(compose([f"task={task}", f"{path}=grouped_2"]).config, path)
            assert (node["part"], node["num_kv_heads"]) == ("attention/multi_head", 2), path


def test_values_of_a_chosen_slot_can_be_set():
    config = compose(["model/decoder/attention=multi_head", "model.decoder.attention.num_kv_heads=1"]).config["model"]
    assert (config["decoder"]["attention"]["num_kv_heads"], config["attention"]["num_kv_heads"]) == (1, None)


def test_a_key_that_is_not_there_yet_opens_where_the_type_is_a_dictionary():
    config = compose(["task=classification", "data=files", "data.train=a.csv", "data.columns.text=review", "data.columns.label=2"]).config
    assert config["data"]["columns"] == {"text": "review", "label": 2}


@pytest.mark.matrix(0.5, axes=())
@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("model.freeze=[tokens.*,decoder.layers.[0-3].*]", ["tokens.*", "decoder.layers.[0-3].*"]),
        ("model.freeze=decoder.layers.[!01].*", "decoder.layers.[!01].*"),
        ("model.freeze=[[td]o*.weight]", ["[td]o*.weight"]),
        ("model.freeze=[td]o*.weight", "[td]o*.weight"),
        ("model.freeze=['a.[0-3]','b?']", ["a.[0-3]", "b?"]),
        ("model.freeze=tokens.*", "tokens.*"),
        ("model.freeze=null", None),
    ],
)
def test_patterns_need_no_quotes_for_their_brackets(typed, meant):
    assert compose([typed]).config["model"]["freeze"] == meant


def test_the_config_says_everything_and_composes_to_itself():
    """Every option of every part stands in it, none is null that follows, and the catalogue finds nothing wrong."""
    catalogue = index.load()

    def check(node, path):
        option = catalogue.option(node["part"])
        assert set(node) == {"part", *option["fields"], *option["slots"]}, path
        for slot, entry in option["slots"].items():
            assert node[slot] is not None or entry["default"] is None, f"{path}.{slot}"
            if node[slot] is not None:
                check(node[slot], f"{path}.{slot}")

    for task in ("classification", "completion", "translation"):
        config = compose([f"task={task}"]).config
        for group in ("model", "data", "tokenizer", "task", "optimizer", "schedule", "trainer"):
            check(config[group], group)


def test_the_name_tells_the_task_and_what_was_overridden():
    words = ["task=classification", "model/attention=linear", "optimizer.lr=1e-3", "logger=none", "data=sst2", "data.folder=/some/where"]
    name = compose(words).config["name"]
    assert name == "classification_attention-linear_lr-1e-3_data-sst2"
    assert compose(["name=mine", "seed=3"]).config["name"] == "mine"
    assert len(default_name(compose([]).config, [f"model.dim={'1' * 30}"] * 20)) <= 100


def test_many_lines_become_six():
    assert shorten(list("abcdef")) == "a\nb\nc\nd\ne\nf"
    assert shorten(list("abcdefgh")) == "a\nb\nc\nd\ne\n... and 3 more"


def swaps():
    """Every model preset, and part, with every option of every slot of the catalogue, on a task that suits the family."""
    catalogue = index.load()
    tasks = {"encoder_only": "classification", "decoder_only": "completion", "encoder_decoder": "translation"}
    for model in catalogue.names("model"):
        family = catalogue.base("model", model)
        for path, kind in catalogue.groups():
            if path.startswith("model/"):
                yield from ((tasks[family], model, path, name) for name in catalogue.names(kind))


def composes_or_is_refused(task, model, path, name):
    """Whether a swap composes; otherwise the refusal has a reason in our words."""
    try:
        config = compose([f"task={task}", f"model={model}", f"{path}={name}"]).config
    except UserError as refusal:
        said = str(refusal)
        assert path in said or f".{path.rpartition('/')[2]}" in said or "Any one of these resolves it" in said, said
        assert not any(words in said for words in HYDRA_SAYS), said
        return False
    catalogue = index.load()
    assert at(config, path)["part"].endswith(f"/{catalogue.base(catalogue.kind_at(path) or '', name)}")
    return True


def test_presets_with_options_of_slots():
    """A sample that is the same every time; the marker `whole` has all of them."""
    sample = random.Random(0).sample(list(swaps()), 8)
    composed = [composes_or_is_refused(*swap) for swap in sample]
    assert any(composed) and not all(composed)


@pytest.mark.whole
def test_every_preset_with_every_option_of_every_slot():
    composed = [composes_or_is_refused(*swap) for swap in swaps()]
    print(f"{sum(composed)} of {len(composed)} compose, the rest is refused")
    assert len(composed) > 1000 and sum(composed) > len(composed) / 3
