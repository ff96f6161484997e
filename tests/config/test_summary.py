"""`check`: what it counts is what is built, and nothing is built for it."""

import re

import pytest
import torch

from framework.__main__ import main
from framework.config.compose import compose
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.runs import summary as card
from framework.runs.build import build_task

RUNS = [
    ["task=classification", "model.num_layers=1"],
    ["task=completion", "model/attention=multi_query", "model.tied=false", "model.embedding_dim=16"],
    ["task=translation", "model/position=relative", "model/feed_forward=gated", "model.num_decoder_layers=1"],
]


def counted(text):
    """(total, part -> number) of a card."""
    total = int(re.search(r"^parameters +([\d,]+)$", text, re.MULTILINE)[1].replace(",", ""))
    return total, {name: int(number.replace(",", "")) for name, number in re.findall(r"^  (\S+) +([\d,]+)$", text, re.MULTILINE)}


@pytest.mark.parametrize("words", RUNS, ids=lambda words: words[0])
def test_the_card_counts_what_is_built(words, capsys):
    assert main(["check", *words, "tokenizer=bpe", "tokenizer.vocab_size=300"]) == 0
    total, parts = counted(capsys.readouterr().out)
    config = compose([*words, "tokenizer=bpe", "tokenizer.vocab_size=300"]).config
    spec = DataSpec(300, config["model"]["max_length"], begin=1, end=2, unknown=3, mask=4, labels=("a", "b"))
    task = build_task(config, spec)
    assert total == sum(parameter.numel() for parameter in task.parameters()) == sum(parts.values())
    assert not any(parameter.is_meta for parameter in task.parameters())


# Transformers' own counts: GPT2Model, and BertModel beside a head of 768 x 2 + 2.
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["model=gpt2", "tokenizer=bpe", "tokenizer.vocab_size=50257", "model.max_length=1024"], 124_439_808),
        (
            ["task=classification", "model=bert_base", "tokenizer=wordpiece", "tokenizer.vocab_size=30522", "model.max_length=512"],
            109_483_778,
        ),
    ],
    ids=["gpt2", "bert"],
)
def test_published_sizes(words, expected, capsys):
    assert main(["check", *words]) == 0
    assert counted(capsys.readouterr().out)[0] == expected


def test_a_large_model_takes_no_memory(capsys):
    """3 TB of weights are counted, not made."""
    assert main(["check", "model.dim=65536", "model.num_heads=64", "model.num_layers=20"]) == 0
    assert counted(capsys.readouterr().out)[0] > 1e12


@pytest.mark.parametrize(("optimizer", "states"), [("adamw", 2), ("sgd", 1)])
def test_memory_is_four_bytes_for_each_weight_gradient_and_state(optimizer, states, capsys):
    assert main(["check", "model=gpt2", f"optimizer={optimizer}"]) == 0
    text = capsys.readouterr().out
    weights = counted(text)[0] * 4 / 2**20
    said = dict(re.findall(r"(weights|gradients|optimizer) ([\d,]+)", text))
    assert {name: int(number.replace(",", "")) for name, number in said.items()} == pytest.approx(
        {"weights": weights, "gradients": weights, "optimizer": states * weights}, abs=0.5
    )
    assert int(re.search(r"memory ([\d,]+) MiB", text)[1].replace(",", "")) == pytest.approx((2 + states) * weights, abs=0.5)


def test_the_parts_are_named():
    config = compose(["task=translation", "model/decoder/attention=linear", "model/norm=rms", "model/block=parallel"]).config
    assert card.parts_line(config) == (
        "translation with encoder_decoder: encoder of multi_head, sinusoidal, mlp, rms, parallel; "
        "decoder of linear, sinusoidal, mlp, rms, parallel"
    )


def test_what_building_refuses_is_the_users_to_know():
    config = compose([]).config
    config["model"]["decoder"]["layers"] = [{}, {}, {}]
    with pytest.raises(UserError, match="3 entries"):
        card.model_card(config)
    assert torch.empty(0).device.type == "cpu"  # and the default device is what it was
