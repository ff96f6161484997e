"""Heads of published classifiers: the scores of transformers, and an unchanged export."""

import copy
import json

import pytest
import torch

from framework.data.spec import DataSpec
from framework.huggingface.writing import write
from framework.pretrained.source import open_pretrained
from framework.pretrained.transfer import transfer_weights
from framework.runs.build import build_task
from framework.workflows.start import compose_run as compose
from tests.precision import close, in_double

LABELS = ("bad", "good", "odd")
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 40, "max_position_embeddings": 32}
NAMES = {"id2label": dict(enumerate(LABELS)), "label2id": {name: id for id, name in enumerate(LABELS)}, "vocab_size": 50}
DISTILBERT = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 40, "max_position_embeddings": 32}
GPT2 = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32, "pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 3}
HEADS = {
    "BertForSequenceClassification": ("BertConfig", SIZES, ["task.pooling=pooler"]),
    "RobertaForSequenceClassification": ("RobertaConfig", SIZES, ["task.pooling=first", "task/classifier=dense"]),
    "DistilBertForSequenceClassification": (
        "DistilBertConfig",
        DISTILBERT,
        ["task.pooling=first", "task/classifier=dense", "task.classifier.activation=relu"],
    ),
    "GPT2ForSequenceClassification": ("GPT2Config", GPT2, ["task.pooling=last", "task.classifier.bias=false"]),
}


def made(architecture, folder):
    """A published folder of that class with random weights, and the model itself."""
    import transformers

    name, sizes, words = HEADS[architecture]
    torch.manual_seed(0)
    model = getattr(transformers, architecture)(getattr(transformers, name)(**sizes, **NAMES)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    return model, words


@pytest.mark.parametrize("architecture", HEADS)
@torch.no_grad()
def test_a_classifier_gives_the_same_scores_and_exports_unchanged(architecture, tmp_path):
    from safetensors.torch import load_file

    reference, words = made(architecture, tmp_path / "in")
    config = compose(["task=classification", f"model.pretrained={tmp_path / 'in'}", "tokenizer=bytes", *words]).config
    padding = reference.config.pad_token_id
    spec = DataSpec(50, config["model"]["max_length"], padding=padding, begin=2, end=3, labels=LABELS)
    task = build_task(config, spec).eval()
    transfer = transfer_weights(task, open_pretrained(str(tmp_path / "in")), config, spec)
    assert transfer.missing == [] and transfer.unexpected == []

    ids = torch.randint(4, 50, (3, 9))
    padding_mask = torch.arange(9) < torch.tensor([9, 6, 3])[:, None]
    ids = ids.masked_fill(~padding_mask, padding)
    wanted = in_double(reference)(input_ids=ids, attention_mask=padding_mask.long()).logits
    close(copy.deepcopy(task).double().export_forward({"ids": ids, "padding_mask": padding_mask}), wanted)

    (tmp_path / "out").mkdir()
    write(tmp_path / "out", config["model"], task.state_dict(), spec, task.hf_task, task.head_variant, task.hf_config())
    came, left = (load_file(tmp_path / side / "model.safetensors") for side in ("in", "out"))
    assert came.keys() == left.keys() and all(torch.equal(came[name], left[name]) for name in came)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["architectures"] == [architecture]


@torch.no_grad()
def test_a_tagger_gives_the_same_scores(tmp_path):
    import transformers

    tags = {0: "O", 1: "B-place", 2: "I-place"}
    torch.manual_seed(0)
    settings = {**SIZES, "vocab_size": 50, "id2label": tags, "label2id": {tag: id for id, tag in tags.items()}}
    reference = transformers.BertForTokenClassification(transformers.BertConfig(**settings)).eval()
    reference.save_pretrained(tmp_path)
    config = compose(["task=ner", f"model.pretrained={tmp_path}", "tokenizer=bytes"]).config
    spec = DataSpec(50, 32, begin=2, end=3, labels=("place",), statistics={"scheme": "iob2", "pieces": "first"})
    task = build_task(config, spec).eval()
    transfer = transfer_weights(task, open_pretrained(str(tmp_path)), config, spec)
    assert not [name for name in transfer.missing if not name.startswith("model.pooler")]
    ids = torch.randint(4, 50, (2, 9))
    task.double()
    close(task.head.scores(task.model(ids)), in_double(reference)(input_ids=ids).logits)


def test_labels_of_another_name_are_a_new_head(tmp_path):
    made("BertForSequenceClassification", tmp_path)
    config = compose(["task=classification", f"model.pretrained={tmp_path}", "tokenizer=bytes", "task.pooling=pooler"]).config
    spec = DataSpec(50, 32, begin=2, end=3, labels=("good", "bad", "odd"))
    transfer = transfer_weights(build_task(config, spec), open_pretrained(str(tmp_path)), config, spec)
    assert transfer.missing == ["head.weight", "head.bias"]
