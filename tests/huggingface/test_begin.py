"""Runs with model.pretrained=PUBLISHED: what is loaded, and errors before the run has a folder."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from framework.cli.train import main
from framework.data.tokenization.trainers import BytesTokenizer
from framework.runs.checkpoint import load_weights
from framework.runs.predictor import Predictor
from framework.workflows.evaluate import evaluate
from framework.workflows.start import compose_run as compose
from tests.integration.conftest import write_data

WORDS = [
    *("task=classification", "data=files", "data.train=train.csv", "data.validation=dev.csv", "data.test=test.csv"),
    *("data.batches.budget=512", "trainer.max_steps=2", "callbacks.progress.style=off", "optimizer.lr=0.0"),
]
BERT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 40, "max_position_embeddings": 32}


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    """A folder with data and a BERT saved by transformers, whose embedding table is larger than the tokenizer."""
    import transformers

    folder = tmp_path_factory.mktemp("published")
    write_data(folder)
    torch.manual_seed(0)
    labels = {0: "bad", 1: "good"}
    config = transformers.BertConfig(**BERT, vocab_size=270, id2label=labels, label2id={name: id for id, name in labels.items()})
    transformers.BertForSequenceClassification(config).save_pretrained(folder / "bert")
    BytesTokenizer().train(list).save(folder / "bert" / "tokenizer.json")
    return folder


@pytest.fixture
def here(origin, tmp_path, monkeypatch):
    shutil.copytree(origin, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def train(*words):
    assert main([*WORDS, *words]) == 0
    return Path("runs/last").resolve()


def refused(capsys, *words):
    assert main([*WORDS, *words]) == 2
    said = capsys.readouterr().err
    assert not Path("runs").exists()
    return said


def published(folder="bert"):
    from safetensors.torch import load_file

    return load_file(Path(folder) / "model.safetensors")


def test_options_weights_tokenizer_and_head_are_loaded(here, capsys):
    run = train("model.pretrained=bert", "task.pooling=pooler")
    said = capsys.readouterr().out
    assert "pretrained bert: 41 of 41 tensors loaded" in said and "newly initialized" not in said and "not used" not in said
    config = yaml.safe_load((run / "config.yaml").read_text())
    model = config["model"]
    assert model["part"] == "model/encoder_only" and model["feed_forward"]["hidden"] == 40 and model["epsilon"] == 1e-12
    assert model["block"]["part"] == "block/post_norm" and model["segments"] == 2
    assert config["tokenizer"]["part"] == "tokenizer/pretrained" and config["tokenizer"]["vocab_size"] == 270
    assert "pretrained-bert" in run.name and "post_norm" not in run.name  # what was typed, not what it means
    own, reference = load_weights(run / "checkpoints" / "best.ckpt"), published()
    assert torch.equal(own["model.tokens.weight"], reference["bert.embeddings.word_embeddings.weight"])
    assert torch.equal(own["head.weight"], reference["classifier.weight"])
    shutil.rmtree("bert")  # the run is complete by itself
    assert Predictor.load(run).spec.vocab_size == 270
    assert evaluate(run, ["data/batches=buckets"])["test/accuracy"] >= 0  # a choice is composed again, with the run's own words


@pytest.mark.parametrize("name", ["my model's, 2 = two", "bert/model.safetensors"])
def test_folders_of_any_name_and_the_file_itself(here, name):
    if not Path(name).exists():
        Path("bert").rename(name)
    quoted = name.replace("'", "\\'")
    run = train(f"model.pretrained='{quoted}'")
    assert yaml.safe_load((run / "config.yaml").read_text())["model"]["segments"] == 2


def test_another_task_has_a_new_head(here, capsys):
    train("task=pretraining", "model.pretrained=bert", "data.columns.text=text", "data.test=null")
    said = capsys.readouterr().out
    assert "newly initialized  head (5)" in said and "not used           head (2)" in said


def test_a_part_may_be_another_and_new_weights_are_named(here, capsys):
    run = train("model.pretrained=bert", "model/position=rotary", "model/feed_forward=gated", "model.feed_forward.hidden=40")
    said = capsys.readouterr().out
    assert "differs there      model/position=learned model/feed_forward=mlp" in said
    assert "model.encoder (4)" in said and "not used" in said
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["model"]["position"]["part"] == "position/rotary" and config["model"]["dim"] == 16


def test_a_shorter_position_table_has_the_first_rows(here):
    run = train("model.pretrained=bert", "model.max_length=20")
    own = load_weights(run / "checkpoints" / "best.ckpt")["model.encoder.position.table.weight"]
    assert torch.equal(own, published()["bert.embeddings.position_embeddings.weight"][:20])


def test_added_tokens_make_the_tables_grow(here, capsys):
    run = train(
        "model.pretrained=bert", "tokenizer.additional_special_tokens=[" + ",".join(f"<{letter}>" for letter in "abcdefghijkl") + "]"
    )
    assert "pretrained bert: 41 of 41 tensors loaded" in capsys.readouterr().out
    own = load_weights(run / "checkpoints" / "best.ckpt")["model.tokens.weight"]
    assert own.shape == (273, 16) and torch.equal(own[:270], published()["bert.embeddings.word_embeddings.weight"])


def test_an_equivalent_preset_is_chosen_by_name(here):
    base = json.loads(Path("bert/config.json").read_text())
    numbers = {"hidden_size": 128, "num_attention_heads": 2, "intermediate_size": 512, "max_position_embeddings": 512}
    Path("bert/config.json").write_text(json.dumps({**base, **numbers}))
    composed = compose(["task=classification", "model.pretrained=bert"])
    assert "model=bert_tiny" in composed.overrides
    own = compose(["task=classification", "model=bert_tiny"]).config["model"]
    assert {**composed.config["model"], "pretrained": None} == own


def test_a_student_of_every_second_layer_learns_from_the_published_model(here, capsys):
    words = ["model.pretrained=bert", "model.num_layers=1", "model.init_layers=[1]", "task.pooling=pooler", "task.teacher=bert"]
    run = train(*words)
    said = capsys.readouterr().out
    assert "teacher bert: " in said and "newly initialized" not in said
    own = load_weights(run / "checkpoints" / "best.ckpt")
    assert torch.equal(
        own["model.encoder.layers.0.attention.query.weight"], published()["bert.encoder.layer.1.attention.self.query.weight"]
    )
    assert not any("teacher" in name for name in own)


def test_a_published_model_without_the_head_cannot_teach(here, capsys):
    assert main([*WORDS, "task=pretraining", "data.test=null", "task.teacher=bert", "model=bert_tiny", "model.max_length=32"]) == 2
    assert "task.teacher=bert: " in capsys.readouterr().err


def test_a_model_that_was_named_must_be_what_is_there(here, capsys):
    said = refused(capsys, "model=bert_tiny", "model.pretrained=bert", "model.num_layers=2")
    assert said.startswith("model=bert_tiny is not the model in bert; leave it out, or add what differs: model.dim=16 model.max_length=32")
    assert "model.num_layers" not in said


def test_jobs_of_a_sweep_may_have_different_pretrained_models(here):
    shutil.copytree("bert", "other")
    config = json.loads(Path("other/config.json").read_text())
    Path("other/config.json").write_text(json.dumps({**config, "layer_norm_eps": 1e-3}))
    assert main(["-m", *WORDS, "model.pretrained=bert,other"]) == 0
    epsilons = {
        yaml.safe_load(path.read_text())["model"]["pretrained"]: yaml.safe_load(path.read_text())["model"]["epsilon"]
        for path in Path("runs/classification").glob("*/*/config.yaml")
    }
    assert epsilons == {"bert": 1e-12, "other": 1e-3}


def test_a_sweep_from_one_model(here):
    assert main(["-m", *WORDS, "model.pretrained=bert", "model.dropout=0.0,0.2"]) == 0
    names = sorted(path.parent.name for path in Path("runs/classification").glob("*/*/run.json"))
    assert names == ["01_dropout=0.0", "02_dropout=0.2"]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model_type": "brt"}, "model_type='brt', which is not supported (did you mean 'bert'?); supported: albert"),
        ({"model_type": None}, "bert/config.json: model_type is None"),
        ({"hidden_act": "mish"}, "config.json has hidden_act='mish'; supported values: gelu"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type='relative_key'; bert models need"),
        ({"hidden_size": 32}, "model.tokens.weight: (270, 16) there, (270, 32) here"),
        ({"num_attention_heads": 3}, "dim must be a multiple of num_heads"),
    ],
)
def test_a_config_that_is_unknown_or_of_other_weights(here, capsys, config, said):
    base = json.loads(Path("bert/config.json").read_text())
    Path("bert/config.json").write_text(json.dumps({**base, **config}))
    assert said in refused(capsys, "model.pretrained=bert")


def test_a_key_that_is_needed(here, capsys):
    base = json.loads(Path("bert/config.json").read_text())
    del base["hidden_size"]
    Path("bert/config.json").write_text(json.dumps(base))
    assert "config.json has no hidden_size, which bert models need" in refused(capsys, "model.pretrained=bert")
    Path("bert/config.json").write_text("{")
    assert "bert/config.json is damaged" in refused(capsys, "model.pretrained=bert")
    Path("bert/config.json").write_text("[]")
    assert "it contains no JSON object" in refused(capsys, "model.pretrained=bert")


def test_folders_without_a_model(here, capsys):
    assert "model.pretrained=../no: there is no such folder; it takes a run (" in refused(capsys, "model.pretrained=../no")
    Path("bert/config.json").unlink()
    assert "model.pretrained=bert: that folder is neither a run, which has a config.yaml, nor" in refused(capsys, "model.pretrained=bert")


def test_another_tokenizer_is_refused(here, capsys):
    said = refused(capsys, "model.pretrained=bert", "tokenizer=bytes")
    assert "tokenizer=bytes: with model.pretrained the tokenizer is that of bert" in said


def test_a_task_that_such_a_model_cannot_do(here, capsys):
    said = refused(capsys, "task=translation", "model.pretrained=bert", "data.train=train.csv")
    assert "needs an encoder-decoder" in said


class Code:
    """Creates a file when it is unpickled."""

    def __reduce__(self):
        return Path.touch, (Path("executed"),)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "damaged, or no safetensors file"),
        (lambda path: path.write_bytes(path.read_bytes()[:5]), "damaged, or no safetensors file"),
        (lambda path: path.write_bytes(b"\xff" * 100), "damaged, or no safetensors file"),
        (lambda path: path.write_text("<html>not found</html>"), "damaged, or no safetensors file"),
        (lambda path: path.unlink(), "has no weights: neither model.safetensors nor model.safetensors.index.json"),
        (lambda path: path.rename(path.with_name("pytorch_model.bin")), "a format that can hide code"),
    ],
    ids=["truncated", "stub", "noise", "page", "absent", "pickled"],
)
def test_files_that_are_no_weights(here, capsys, make, said):
    make(Path("bert/model.safetensors"))
    assert said in refused(capsys, "model.pretrained=bert")


def test_weights_of_another_model_and_of_another_shape(here, capsys):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(2)}, "bert/model.safetensors")
    assert "bert has no weights of a bert model" in refused(capsys, "model.pretrained=bert")


def test_a_pickle_with_code_is_not_executed(here, capsys):
    torch.save({"bert.embeddings.word_embeddings.weight": torch.zeros(270, 16), "x": Code()}, "bert/pytorch_model.bin")
    said = refused(capsys, "model.pretrained=bert/pytorch_model.bin")
    assert "might run code" in said and not Path("executed").exists()
    torch.save([torch.zeros(1)], "bert/pytorch_model.bin")
    assert "holds something other than names and tensors" in refused(capsys, "model.pretrained=bert/pytorch_model.bin")
    Path("bert/pytorch_model.bin").write_bytes(b"PK\x03\x04 half")
    assert "truncated or damaged" in refused(capsys, "model.pretrained=bert/pytorch_model.bin")


def test_tensors_of_a_pickle_are_loaded_if_it_is_named(here, capsys):
    torch.save(published(), "bert/pytorch_model.bin")
    Path("bert/model.safetensors").unlink()
    train("model.pretrained=bert/pytorch_model.bin", "task.pooling=pooler")
    assert "41 of 41 tensors" in capsys.readouterr().out
