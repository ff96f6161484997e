"""A run with an adapter, exported: the adapter alone, and computed into the weights of a published layout."""

from pathlib import Path

import pytest
import torch

from framework.__main__ import main
from framework.data.tokenization.trainers import BytesTokenizer
from framework.runs.checkpoint import load_weights
from framework.runs.predictor import Predictor
from tests.integration.conftest import train, write_data
from tests.precision import in_double

WORDS = ["task=classification", "data=files", "data.train=train.csv", "data.validation=dev.csv", "callbacks.progress.style=off"]
MAPS = 2 * 6 + 2  # linear maps on the way: four of attention and two of feed-forward a layer, the pooler and the head
ROUNDING = 2 * MAPS * torch.finfo(torch.float32).eps  # weights are written in single: the adapter's product, and its sum with them
LORA = ["model.pretrained=bert", "model/adapter=lora", "model.adapter.rank=2", "task.pooling=pooler", "optimizer.lr=1e-2"]


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A folder with a published encoder, and in it a run that learned an adapter beside it."""
    import transformers

    folder = tmp_path_factory.mktemp("adapters")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_data(folder)
        sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 40, "vocab_size": 270}
        transformers.BertModel(transformers.BertConfig(**sizes)).save_pretrained("bert")
        BytesTokenizer().train(list).save(Path("bert/tokenizer.json"))
        return train(*WORDS, *LORA, "trainer.max_steps=10").resolve()


@pytest.fixture
def run(learned, monkeypatch):
    """That run; the working folder is the one with the encoder, whatever other tests trained in it."""
    monkeypatch.chdir(learned.parents[2])
    return learned


def test_another_run_loads_the_adapter_alone(run, capsys):
    assert main(["export", str(run), "to=adapter", "folder=alone"]) == 0
    said = capsys.readouterr().out
    assert "adapter.safetensors" in said and "model.adapter.weights=alone/adapter.safetensors" in said
    assert Path("alone/adapter.safetensors").stat().st_size < Path("bert/model.safetensors").stat().st_size / 3
    again = train(*WORDS, *LORA, "model.adapter.weights=alone/adapter.safetensors", "optimizer.lr=0.0", "trainer.max_steps=1")
    assert "adapter alone/adapter.safetensors" in capsys.readouterr().out
    before, after = (load_weights(each / "checkpoints" / "best.ckpt") for each in (run, again))
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


def test_a_published_layout_has_it_in_its_weights(run):
    from transformers import pipeline

    assert main(["export", str(run), "to=huggingface", "folder=whole"]) == 0
    loaded = Predictor.load(run)
    loaded.task.double()
    batch = {"ids": torch.tensor([[loaded.spec.begin, *loaded.tokenizer.encode("fine great"), loaded.spec.end]]), "padding_mask": None}
    with torch.no_grad():
        mine = dict(zip(loaded.spec.labels, loaded.task.export_forward(batch)[0].softmax(0).tolist(), strict=True))
    classify = pipeline("text-classification", model="whole", top_k=None)
    classify.model = in_double(classify.model)
    (theirs,) = classify(["fine great"])
    assert {score["label"]: score["score"] for score in theirs} == pytest.approx(mine, abs=ROUNDING)


def test_a_run_without_one(run, capsys):
    run = train(*WORDS, "model=bert_tiny", "model.dim=16", "model.num_layers=1", "tokenizer=bytes", "trainer.max_steps=1")
    assert main(["export", str(run), "to=adapter", "folder=none"]) == 2
    assert "to=adapter needs a run with an adapter" in capsys.readouterr().err and not Path("none").exists()
