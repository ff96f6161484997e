"""The pretraining task: one loss for three families, figures from rows, gaps filled, refusals."""

import math
from random import Random

import pytest
import torch
from torch.nn import functional

from framework import BatchRows
from framework.config.compose import compose
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.generation.engine import Decode
from framework.generation.strategy import Greedy
from framework.models.decoder_only import DecoderOnlyModel
from framework.models.encoder_decoder import EncoderDecoderModel
from framework.models.encoder_only import EncoderOnlyModel
from framework.registry import Part
from plugins.pretraining.denoising import InfillingFormat, SpanCorruptionFormat
from plugins.pretraining.masked import MaskedFormat
from plugins.pretraining.running_text import CausalFormat
from plugins.pretraining.task import PretrainingTask

SPEC = DataSpec(vocab_size=40, max_length=24, padding=0, begin=1, end=2, unknown=3, mask=4, special_ids=(35, 36, 37, 38, 39))
FORMATS = {
    "masked": (MaskedFormat(), EncoderOnlyModel),
    "causal": (CausalFormat(), DecoderOnlyModel),
    "span_corruption": (SpanCorruptionFormat(sentinels=5), EncoderDecoderModel),
    "infilling": (InfillingFormat(permute_sentences=False), EncoderDecoderModel),
}
ROWS = [list(range(5, 20)), list(range(20, 28)), [9, 8, 7]]


def make(name, **options):
    torch.manual_seed(0)
    model = Part(FORMATS[name][1], **{"dim": 16, "num_heads": 2, "num_layers": 1, "max_length": 24, "initial_std": 0.4, **options})
    return PretrainingTask(model, SPEC, FORMATS[name][0]).double().eval()


def batch_of(name, rows=ROWS):
    batch = FORMATS[name][0].collate([{"ids": row} for row in rows], SPEC, Random(0))
    return {**batch, "@rows": BatchRows(list(range(len(rows))))}


def decode(wanted=None, **options):
    return Decode(Greedy(**options), lambda ids: " ".join(str(id) for id in ids if 4 < id < 35), SPEC.end, wanted, len(ROWS))


def states(task, batch):
    if "source" in batch:
        return task.model(batch["source"], batch["target"], batch["source_padding_mask"])
    return task.model(batch["ids"], batch.get("padding_mask"))


@pytest.mark.parametrize("name", FORMATS)
def test_the_loss_is_the_sum_over_targets_and_reaches_every_parameter(name):
    task, batch = make(name), batch_of(name)
    targets = batch["targets"]
    result = task(batch)
    expected = functional.cross_entropy(task.logits(states(task, batch)).flatten(0, 1), targets.flatten(), reduction="sum")
    torch.testing.assert_close(result.loss, expected)
    assert int(result.weight) == int((targets != -100).sum())
    result.loss.backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in task.parameters())


@pytest.mark.parametrize("name", FORMATS)
def test_distillation_outputs_are_of_the_targets_alone(name):
    task, batch = make(name), batch_of(name)
    outputs, counted = task.distillation_outputs(batch, task(batch)), batch["targets"] != -100
    torch.testing.assert_close(outputs.hidden, states(task, batch)[counted])
    torch.testing.assert_close(outputs.logits, task.logits(states(task, batch))[counted])


@pytest.mark.parametrize("name", FORMATS)
def test_rows_are_told_alike_alone_and_together(name):
    task = make(name)
    with torch.no_grad():
        together = task.evaluate(batch_of(name), decode())[1]
        for number, row in enumerate(ROWS):
            _, (alone,) = task.evaluate(batch_of(name, [row]), decode())
            assert alone["nats"] == pytest.approx(together[number]["nats"], abs=1e-9)
            assert {**alone, "nats": 0} == {**together[number], "nats": 0}


def test_the_head_is_berts():
    """Written out: a layer, GELU, a norm, the table of the embeddings, a bias for each token."""
    task = make("masked", embedding_dim=12)
    torch.nn.init.normal_(task.head.bias)
    hidden = torch.randn(3, 16, dtype=torch.double)
    x = functional.gelu(hidden @ task.head.transform.weight.T + task.head.transform.bias)
    x = (x - x.mean(dim=-1, keepdim=True)) / (x.var(dim=-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(task.logits(hidden), x @ task.model.tokens.weight.T + task.head.bias)
    assert make("causal").head is None  # its model has an output of its own


def test_the_head_has_the_biases_the_epsilon_and_the_activation_of_the_layers():
    """As ModernBERT's has none of the first, and ALBERT's has another GELU."""
    task = make("masked", bias=False, epsilon=0.5, feed_forward=Part("feed_forward/gated", activation="silu"))
    assert task.head.transform.bias is None and task.head.norm.bias is None and task.head.bias.shape == (SPEC.vocab_size,)
    hidden = torch.randn(3, 16, dtype=torch.double)
    x = functional.silu(hidden @ task.head.transform.weight.T)
    x = (x - x.mean(dim=-1, keepdim=True)) / (x.var(dim=-1, unbiased=False, keepdim=True) + 0.5).sqrt()
    torch.testing.assert_close(task.logits(hidden), x @ task.model.tokens.weight.T + task.head.bias)


def test_figures_are_made_of_rows():
    task, metrics = make("masked"), make("masked").metrics()
    rows = [{"nats": 2.0, "tokens": 4, "right": 1}, {"nats": 4.0, "tokens": 2, "right": 2}]
    task.update(metrics, rows)
    assert float(metrics["accuracy"].compute()) == 0.5
    assert float(metrics["perplexity"].compute()) == pytest.approx(math.e)


def test_a_few_rows_are_shown():
    with torch.no_grad():
        _, rows = make("masked").evaluate(batch_of("masked"), decode(wanted=1))
    shown = [row for row in rows if "input" in row]
    assert len(shown) == 1 and all({"nats", "tokens", "right"} <= set(row) for row in rows)
    reference = shown[0]["reference"].split()
    assert len(reference) == shown[0]["tokens"] and "[MASK]" in shown[0]["input"]


def test_gaps_are_filled_where_they_are():
    format = FORMATS["masked"][0]
    with torch.no_grad():
        (row,) = make("masked").predict(batch_of("masked", [[5, 6, 4, 7, 4]]), decode())
    assert row["input"].split() == ["5", "6", "[MASK]", "7", "[MASK]"]
    first, second = row["gaps"]
    assert len(first) == 5 and first[0]["score"] >= first[1]["score"] and format.window(SPEC) == 21
    filled = row["prediction"].split()
    best = [gap[0]["text"] for gap in (first, second) if gap[0]["text"]]
    assert [word for word in filled if word not in ("5", "6", "7")] == [word for word in best if word not in ("5", "6", "7")]


@pytest.mark.parametrize("name", ["causal", "span_corruption", "infilling"])
def test_models_that_write_predict_a_text(name):
    ids = {"causal": [5, 6, 7], "span_corruption": [5, 35, 6, 36], "infilling": [5, 4, 6]}[name]
    with torch.no_grad():
        rows = make(name).predict(batch_of(name, [ids, [9, 10]]), decode(max_new_tokens=4))
    assert len(rows) == 2 and all(isinstance(row["prediction"], str) and row["score"] < 0 for row in rows)
    assert rows[0]["input"].split()[0] == "5" and ("[MASK]" in rows[0]["input"]) == (name != "causal")
    if name == "span_corruption":  # what stands around the gaps stays
        assert rows[0]["prediction"].split()[0] == "5" and "6" in rows[0]["prediction"].split()


def test_a_long_prompt_leaves_room_to_write():
    with torch.no_grad():
        (row,) = make("causal").predict(batch_of("causal", [list(range(5, 35))]), decode(max_new_tokens=3))
    assert row["input"].split() == [str(id) for id in range(23, 35)]


@pytest.mark.matrix(0.5, axes=())
@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["model=tiny_decoder"], "predicted by an encoder"),
        (["model=tiny_encoder_decoder"], "task/format=span_corruption for an encoder-decoder"),
        (["task/format=causal"], "causal language modeling needs a decoder"),
        (["task/format=span_corruption"], "denoising needs an encoder-decoder"),
        (["task/format=classification"], r"task/format=masked\|causal\|span_corruption\|infilling"),
        (["task.format.share=1.5"], r"share must be in \(0, 1\)"),
    ],
)
def test_what_does_not_go_together_is_refused_with_its_reason(words, reason):
    with pytest.raises(UserError, match=reason):
        compose(["task=pretraining", *words])


@pytest.mark.parametrize(
    ("format", "model"),
    [
        ("masked", "bert_tiny"),
        ("causal", "tiny_decoder"),
        ("span_corruption", "tiny_encoder_decoder"),
        ("infilling", "tiny_encoder_decoder"),
    ],
)
def test_every_format_has_its_family(format, model):
    config = compose(["task=pretraining", f"task/format={format}", f"model={model}"]).config
    assert config["task"]["format"]["part"] == f"format/{format}"
