"""The grammar of presets, recipes and experiments: values below the slot they belong to, which live and die with the choice there."""

import textwrap

import pytest

from framework.__main__ import main as main_of_all
from framework.cli.train import main
from framework.config import catalogue as index
from framework.config.compose import compose
from framework.errors import UserError
from framework.runs.sweep import Ledger

pytestmark = pytest.mark.hydra  # also with a newer one: make test-hydra


@pytest.fixture
def mine(tmp_path):
    """A folder of the user's own presets: `write("experiment/own", text)` adds a file, and gives the folders for `compose`."""

    def write(path, text):
        file = tmp_path / f"{path}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"# my own\n{textwrap.dedent(text)}")
        return [tmp_path]

    return write


@pytest.fixture
def own(mine):
    """An experiment with values below a group, a slot, and a slot of a slot."""
    return mine(
        "experiment/own",
        """\
        task: {is: translation, label_smoothing: 0.2, decoding: {is: beam, num_beams: 3}}
        model:
          is: transformer_base
          num_layers: 2
          attention: {is: multi_head, num_kv_heads: 2}
          decoder: {is: cross, window: 9, feed_forward: {is: gated, hidden: 24}}
        tokenizer: {is: bpe, vocab_size: 300}
        data: {batches: {is: rows, rows: 3}}
        optimizer: {is: sgd, lr: 0.5, momentum: 0.7}
        trainer: {max_epochs: 5}
        """,
    )


def parts(config, *paths):
    found = []
    for path in paths:
        node = config
        for key in path.split("."):
            node = node[key]
        found.append(node)
    return found


def test_values_stand_where_they_are_said(own):
    composed = compose(["experiment=own"], own)
    assert parts(
        composed.config,
        "task.label_smoothing",
        "task.decoding.num_beams",
        "model.num_layers",
        "model.dim",
        "model.encoder.attention.num_kv_heads",
        "model.decoder.window",
        "model.decoder.feed_forward.hidden",
        "tokenizer.vocab_size",
        "data.batches.rows",
        "optimizer.momentum",
        "trainer.max_epochs",
        "trainer.devices",
    ) == [0.2, 3, 2, 512, 2, 9, 24, 300, 3, 0.7, 5, 1]
    assert composed.config["model"]["encoder"]["feed_forward"]["part"] == "feed_forward/mlp"
    chosen = {"task": "translation", "model": "transformer_base", "model/attention": "multi_head", "model/decoder/feed_forward": "gated"}
    assert chosen.items() <= composed.chosen.items() and composed.chosen["optimizer"] == "sgd"


@pytest.mark.parametrize(
    ("word", "path", "part", "gone"),
    [
        ("model/attention=linear", "model.decoder.attention", "attention/linear", "num_kv_heads"),
        ("tokenizer=bytes", "tokenizer", "tokenizer/bytes", "vocab_size"),
        ("data/batches=buckets", "data.batches", "batches/buckets", "rows"),
        ("task/decoding=greedy", "task.decoding", "decoding/greedy", "num_beams"),
        ("model/decoder/feed_forward=mlp", "model.decoder.feed_forward", "feed_forward/mlp", None),
    ],
)
def test_another_option_takes_the_values_away(own, word, path, part, gone):
    words = ["experiment=own", word, *(["model/position=rotary", "model.decoder.window=null"] if "linear" in word else [])]
    (node,) = parts(compose(words, own).config, path)
    assert node["part"] == part and (gone is None or gone not in node)


def test_another_model_takes_the_choices_inside_away_too(own):
    model = compose(["experiment=own", "model=tiny_encoder_decoder"], own).config["model"]
    assert (model["attention"]["num_kv_heads"], model["decoder"]["window"]) == (None, None)
    assert model["decoder"]["feed_forward"]["part"] == "feed_forward/mlp"


def test_the_same_option_named_again_starts_anew(own):
    optimizer = compose(["experiment=own", "optimizer=sgd"], own).config["optimizer"]
    assert optimizer["lr"] == index.load().option("optimizer/sgd")["fields"]["lr"]["default"]


def test_values_can_be_set_on_top(own):
    words = ["model.attention.num_kv_heads=4", "optimizer.lr=0.25", "data.batches.rows=7", "model.decoder.feed_forward.hidden=8"]
    config = compose(["experiment=own", *words], own).config
    assert parts(config, "model.decoder.cross.num_kv_heads", "optimizer.lr", "data.batches.rows") == [4, 0.25, 7]
    assert (config["optimizer"]["momentum"], config["model"]["decoder"]["feed_forward"]["hidden"]) == (0.7, 8)


def test_values_of_a_choice_that_an_experiment_leaves_open_stay(own):
    assert compose(["experiment=own", "trainer=lightning"], own).config["trainer"]["max_epochs"] == 5


def test_a_preset_of_a_preset_of_ones_own(mine):
    mine("attention/few", "is: multi_head\nnum_kv_heads: 2\n")
    mine("model/base", "is: gpt2\nnum_layers: 2\nattention: {is: few, scale: 0.5}\nfeed_forward: {is: gated, hidden: 64}\n")
    folders = mine("model/narrow", "is: base\ndim: 48\nfeed_forward: {is: mlp, hidden: 32}\n")
    model = compose(["model=narrow"], folders).config["model"]
    assert parts(model, "dim", "num_layers", "decoder.attention.num_kv_heads", "decoder.attention.scale") == [48, 2, 2, 0.5]
    assert parts(model, "decoder.feed_forward.part", "decoder.feed_forward.hidden") == ["feed_forward/mlp", 32]
    assert compose(["model=narrow", "model/attention=multi_head"], folders).config["model"]["attention"]["scale"] is None
    assert compose(["model/decoder/attention=few"], folders).config["model"]["decoder"]["attention"]["num_kv_heads"] == 2


def test_an_experiment_of_an_experiment_and_of_presets_that_are_overridden_again(mine, own):
    folders = mine(
        "experiment/later",
        """\
        is: own
        model: {is: tiny_encoder_decoder, attention: {is: multi_head, num_kv_heads: 1}}
        optimizer: {is: sgd, lr: 0.125}
        trainer: {devices: 2}
        seed: 3
        """,
    )
    config = compose(["experiment=later"], folders).config
    assert parts(config, "model.encoder.attention.num_kv_heads", "model.dim", "model.decoder.window") == [1, 128, None]
    assert parts(config, "optimizer.lr", "optimizer.momentum", "trainer.max_epochs", "trainer.devices") == [0.125, 0.9, 5, 2]
    assert (config["seed"], config["tokenizer"]["vocab_size"], config["task"]["label_smoothing"]) == (3, 300, 0.2)


def test_a_name_alone_is_a_choice_and_null_empties_a_slot(mine, own):
    folders = mine("experiment/bare", "is: own\nmodel: {norm: rms, decoder: {feed_forward: null}}\nlogger: none\n")
    config = compose(["experiment=bare"], folders).config
    assert config["model"]["decoder"]["feed_forward"] == config["model"]["feed_forward"]  # it follows again
    assert (config["model"]["norm"]["part"], config["model"]["decoder"]["window"], config["logger"]) == ("norm/rms", 9, {})


def test_hydras_own_grammar_is_read_too(mine):
    folders = mine(
        "experiment/plain",
        "defaults:\n  - /callback@callbacks.finite: finite\n  - override /tokenizer: bytes\noptimizer: {is: sgd, lr: 0.5}\n",
    )
    config = compose(["experiment=plain"], folders).config
    assert (config["callbacks"]["finite"]["part"], config["tokenizer"]["part"]) == ("callback/finite", "tokenizer/bytes")
    assert config["optimizer"]["lr"] == 0.5


NAMED = ["callbacks.mine={is: early_stopping, patience: 3}"], ["callbacks.mine={is: early_stopping}", "callbacks.mine.patience=3"]


@pytest.mark.parametrize("words", [*NAMED, ["experiment=named"], ["experiment=named", "callbacks.mine.patience=3"], ["experiment=headed"]])
def test_callbacks_and_trackers_of_ones_own_names(mine, words):
    text = "callbacks: {mine: {is: early_stopping, patience: 3}}\nlogger: {beside: csv}\n"
    mine("experiment/headed", f"# @package _global_\n{text}")
    folders = mine("experiment/named", text)
    config = compose(words, folders).config
    mine_, usual = config["callbacks"]["mine"], config["callbacks"]["early_stopping"]
    assert mine_["part"] == "callback/early_stopping" and mine_["patience"] == 3 and mine_.keys() == usual.keys()
    assert "checkpoint" in config["callbacks"] and ("beside" in config["logger"]) == words[0].startswith("experiment")
    if "beside" in config["logger"]:
        assert config["logger"]["beside"]["part"] == "tracker/csv"


def test_a_name_alone_is_a_callback_of_ones_own():
    assert compose(["callbacks.last=finite", "logger.mine={is: csv}"]).config["callbacks"]["last"] == {"part": "callback/finite"}


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("callbacks.mine={is: finit}", "callbacks.mine: there is no callback 'finit' (did you mean 'finite'?)"),
        ("callbacks.mine={is: csv}", "callbacks.mine: there is no callback 'csv'"),
        ("callbacks.mine={is: early_stopping, patiense: 3}", "callbacks.mine: patiense: there is no such key (did you mean 'patience'?)"),
        ("callbacks.early_stoping.patience=3", "callbacks.early_stoping: there is no such callback (did you mean 'early_stopping'?)"),
        ("callbacks.checkpoint={is: finite}", "callbacks.checkpoint is there already"),
        ("callbacks.mine=3", "callbacks.mine: choose one"),
    ],
)
def test_a_wrong_callback_of_ones_own_name(word, said):
    with pytest.raises(UserError) as refused:
        compose([word])
    assert str(refused.value).startswith(said)


def test_check_takes_config_folders(mine, capsys):
    folders = mine("experiment/small", "model: {dim: 16, num_heads: 2}\n")
    assert main_of_all(["check", "--config-dir", str(folders[0]), "experiment=small"]) == 0
    assert "parameters" in capsys.readouterr().out
    assert main_of_all(["check", "--confg-dir", str(folders[0])]) == 2
    assert "--confg-dir: there is no such flag" in capsys.readouterr().err


WRONG = {
    "an option": ("model: {is: bert_tny}", "model.is: there is no model 'bert_tny' (did you mean 'bert_tiny'?)"),
    "an option of a slot": ("model: {is: gpt2, attention: {is: mlti_head}}", "model.attention.is: there is no attention 'mlti_head'"),
    "a name": ("tokenizer: bits", "tokenizer.is: there is no tokenizer 'bits'"),
    "a key of a slot": ("model: {is: gpt2, attention: {is: multi_head, heads: 2}}", "model.attention.heads: there is no such key"),
    "a key of a group": ("trainer: {max_epoch: 2}", "trainer.max_epoch: there is no such key (did you mean 'max_epochs'?)"),
    "a group": ("modle: {is: gpt2}", "modle: there is no such key (did you mean 'model'?)"),
    "no name": ("model: {is: [gpt2]}", "model.is: there is no model ['gpt2']"),
    "a base": ("is: nothing", "is: there is no experiment 'nothing'"),
}


@pytest.mark.matrix(0.5, axes=())
@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=list(WRONG))
def test_a_mistake_is_answered_with_file_and_key(mine, tmp_path, text, said):
    folders = mine("experiment/wrong", f"{text}\n")
    with pytest.raises(UserError) as refused:
        compose(["experiment=wrong"], folders)
    assert str(refused.value).startswith(f"{tmp_path / 'experiment' / 'wrong.yaml'}: {said}")


def test_a_name_that_is_taken_is_refused_with_both_files(mine, tmp_path):
    folders = mine("experiment/sst2", "seed: 1\n")
    with pytest.raises(UserError, match="experiment/sst2 exists twice") as refused:
        compose([], folders)
    assert str(tmp_path) in str(refused.value) and index.load().presets["experiment"]["sst2"]["file"] in str(refused.value)


def test_jobs_of_a_sweep_choose_for_themselves(own, tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr("framework.workflows.sweep.launch", lambda make: (None, started.append(make())))
    monkeypatch.setattr(Ledger, "note", lambda *_, **changes: None)
    monkeypatch.chdir(tmp_path)
    words = ["model.dim=32", "model.decoder.window=null", "model/position=rotary", "recipe=scratch,finetune", "schedule.floor=0.5"]
    attentions = "model/attention=multi_head,linear"
    assert main(["-m", "--config-dir", str(tmp_path), "experiment=own", attentions, *words]) == 0
    jobs = {(start.chosen["model/attention"], start.chosen["recipe"]) for start in started}
    assert len(jobs) == len(started) == 4
    for start in started:
        attention, schedule = start.config["model"]["attention"], start.config["schedule"]
        assert attention.get("num_kv_heads") is None and start.config["optimizer"]["momentum"] == 0.7
        assert (schedule["part"], schedule["floor"]) == (f"schedule/{'linear' if start.chosen['recipe'] == 'finetune' else 'cosine'}", 0.5)


# ---------------------------------------------------------------------------------------------------------------------------- recipes


def recipe(words, folders=()):
    composed = compose(words, folders)
    return composed.chosen.get("recipe"), composed.config["optimizer"]["part"].partition("/")[2], composed.config["optimizer"]["lr"]


TASKS = [name for name, option in index.load().options["task"].items() if option["module"].startswith("plugins.")]


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_recipe_for_a_fresh_start_and_one_for_trained_weights(task):
    assert recipe([f"task={task}"])[0] == "scratch"
    name, optimizer, rate = recipe([f"task={task}", "model.pretrained=somewhere"])
    assert (name, optimizer) == ("finetune", "adamw") and 2e-5 <= rate <= 1e-4
    config = compose([f"task={task}", "recipe=finetune"]).config
    trainer, schedule = config["trainer"], config["schedule"]
    assert (schedule["part"], schedule["warmup"], config["optimizer"]["weight_decay"]) == ("schedule/linear", 0.1, 0.01)
    assert (trainer["gradient_clip_val"], trainer["max_epochs"]) == (1.0, None)
    assert trainer["min_epochs"] >= 3 and trainer["min_steps"] >= 300


def test_the_recipe_is_chosen_by_word_by_experiment_or_by_how_the_run_begins(mine):
    fresh, tuned = ("scratch", "muon", 2e-4), ("finetune", "adamw", 1e-4)
    begun = mine("experiment/begun", "task: ner\nmodel: {is: bert_base, pretrained: somewhere}\n")
    mine("experiment/gentle", "task: ner\nrecipe: finetune\n")
    mine("experiment/plain", "task: ner\n")
    assert recipe(["task=ner"]) == recipe(["task=ner", "model.pretrained=null"]) == fresh
    assert recipe(["task=ner", "recipe=finetune"]) == recipe(["task=ner", "model.pretrained=x"]) == tuned
    assert recipe(["task=ner", "model.pretrained=x", "recipe=scratch"]) == fresh
    assert recipe(["experiment=begun"], begun) == recipe(["experiment=gentle"], begun) == tuned
    assert recipe(["experiment=begun", "recipe=scratch"], begun) == recipe(["experiment=begun", "model.pretrained=null"], begun) == fresh
    assert recipe(["experiment=plain"], begun) == fresh and recipe(["experiment=plain", "model.pretrained=x"], begun) == tuned
    # a key that only the option of the other recipe has
    assert compose(["experiment=begun", "optimizer.betas=[0.9,0.95]", "optimizer.eps=1e-6"], begun).config["optimizer"]["eps"] == 1e-6


def test_what_is_typed_and_what_an_experiment_says_come_before_a_recipe(mine):
    folders = mine("experiment/own", "task: ner\noptimizer: {is: sgd, lr: 0.5}\ntrainer: {max_epochs: 9}\n")
    config = compose(["experiment=own", "recipe=finetune", "trainer.min_steps=null"], folders).config
    assert (config["optimizer"]["part"], config["optimizer"]["lr"], config["optimizer"]["momentum"]) == ("optimizer/sgd", 0.5, 0.9)
    assert (config["trainer"]["max_epochs"], config["trainer"]["min_steps"], config["schedule"]["part"]) == (9, None, "schedule/linear")


def test_a_recipe_of_ones_own(mine):
    folders = mine("recipe/ner/calm", "is: finetune\noptimizer: {is: adamw, lr: 2.0e-5}\n")
    assert recipe(["task=ner", "recipe=calm"], folders) == ("calm", "adamw", 2e-5)
    assert compose(["task=ner", "recipe=calm"], folders).config["trainer"]["min_epochs"] == 6
    with pytest.raises(UserError, match=r"task/classification has no recipe 'calm'; it has: finetune, scratch"):
        compose(["task=classification", "recipe=calm"], folders)


def test_a_recipe_that_is_misspelt_is_refused_with_the_nearest(capsys):
    assert main(["task=ner", "recipe=finetun"]) == 2
    assert capsys.readouterr().err == "recipe: task/ner has no recipe 'finetun' (did you mean 'finetune'?); it has: finetune, scratch\n"
