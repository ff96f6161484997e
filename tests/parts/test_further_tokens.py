"""Multi-token prediction: its losses one number at a time, in float64; what trains, decodes and is exported."""

import json
from pathlib import Path

import pytest
import torch

from framework.data.spec import DataSpec
from framework.export.adapter import without_training_parts
from framework.huggingface.writing import write
from framework.registry import Part
from framework.runs.build import build_task
from framework.runs.predictor import Predictor
from framework.testing import toy_model
from framework.utils.recording import recorded_losses
from framework.workflows.start import compose_run
from tests.precision import close

IDS = torch.tensor([[5, 6, 7, 8, 9, 10], [7, 5, 9, 8, 0, 0]])
PADDING = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
DOCUMENTS = torch.tensor([[0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 1]])


def model_of(count=2, **values):
    torch.manual_seed(0)
    return toy_model("decoder_only", further_tokens=count, further_weight=0.3, num_layers=2, **values).double().train()


@pytest.mark.parametrize(("padding_mask", "documents"), [(PADDING, None), (None, DOCUMENTS), (None, None)])
@pytest.mark.parametrize("position", ["learned", "rotary"])
def test_each_loss_is_the_mean_over_tokens_that_far_away(padding_mask, documents, position):
    model = model_of(position=Part(f"position/{position}"))
    with recorded_losses() as recorded:
        model(IDS, padding_mask, documents=documents, padding_side="right")
    trunk = []
    model.eval()(IDS, padding_mask, documents=documents, padding_side="right")
    positions = torch.arange(6)[None] if documents is None else torch.tensor([[0, 1, 2, 3, 0, 1], [0, 1, 2, 0, 1, 2]])
    embedded = model.embeddings(model.tokens(IDS), model.decoder.position, positions)
    model.decoder(embedded, positions, padding_mask, documents, None, "right", trunk)
    assert sorted(recorded) == ["token_2", "token_3"]
    for number, head in zip((2, 3), model.further_tokens.heads, strict=True):
        logits = model.logits(head(trunk[0], positions, padding_mask, documents, None, "right")).log_softmax(-1)
        losses = [
            -logits[row, place, IDS[row, place + number]]
            for row in range(2)
            for place in range(6 - number)
            if (padding_mask is None or padding_mask[row, place + number])
            and (documents is None or documents[row, place] == documents[row, place + number])
        ]
        total, weight = recorded[f"token_{number}"]
        assert weight == len(losses)
        close(total, 0.3 * torch.stack(losses).sum())


def test_a_head_stands_beside_the_last_layer():
    """With the weights of the last layer and the final norm, it has their output."""
    model = model_of(1).eval()
    head, trunk = model.further_tokens.heads[0], []
    head.layers[0].load_state_dict(model.decoder.layers[1].state_dict())
    head.final_norm.load_state_dict(model.decoder.final_norm.state_dict())
    positions = torch.arange(6)[None]
    embedded = model.embeddings(model.tokens(IDS), model.decoder.position, positions)
    wanted = model.decoder(embedded, positions, trunk=trunk)
    close(head(trunk[0], positions), wanted)


def test_all_of_it_trains_and_nothing_of_it_decodes():
    model = model_of(3)
    with recorded_losses() as recorded:
        hidden = model(IDS[:, :3])  # too short for the last head
    (hidden.sum() + sum(loss for loss, _ in recorded.values())).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert recorded["token_4"] == (0, 0)
    model.eval()
    with_heads = model(IDS)
    model.drop_training_parts()
    close(model(IDS), with_heads)


def test_an_export_has_no_heads(tmp_path):
    words = ["model=gpt2", "model.dim=16", "model.num_heads=2", "model.num_layers=2", "model.max_length=32", "model.further_tokens=1"]
    config = compose_run(["task=completion", "task.ngrams=0", *words]).config
    spec = DataSpec(20, 32, begin=1, end=2, padding=0)
    loaded = Predictor(build_task(config, spec), None, None, spec, config, Path())
    assert any("further_tokens" in name for name in loaded.task.state_dict())
    plain = without_training_parts(loaded)
    assert plain.config["model"]["further_tokens"] == 0 and config["model"]["further_tokens"] == 1
    assert not any("further_tokens" in name for name in plain.task.state_dict())
    write(tmp_path, plain.config["model"], plain.task.state_dict(), spec, "text-generation")
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == ["GPT2LMHeadModel"]
