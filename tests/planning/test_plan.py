"""The plan of a run: what is counted on the meta device is what a step on a real one allocates."""

import re

import pytest
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from framework.__main__ import main
from framework.config import catalogue
from framework.config.compose import compose
from framework.planning.batch import batch_spec, meta_batch
from framework.planning.estimate import bytes_sent, memory_of_a_device
from framework.planning.step import StepCost, optimizer_bytes, part_of, step_cost
from framework.registry import build
from framework.runs.build import build_on_meta, build_task

SMALL = ["data.batches.budget=512", "model.num_layers=2", "model.dim=64", "model.num_heads=2", "model.dropout=0", "tokenizer=bytes"]
RUNS = [
    ["task=completion", "model.max_length=128", "trainer.precision=bf16-mixed"],
    ["task=translation", "model.max_length=96", "model/decoder/attention=multi_query", "model/position=relative"],
    ["task=pretraining", "model.max_length=128", "trainer.precision=64-true"],
]


def allocated(config):
    """The most bytes that torch's allocator has given out at once in a forward and backward pass on a processor."""
    format = build(config["task"]["format"])
    spec, tokenizer = batch_spec(config, format)
    task = build_task(config, spec, format).train().to(torch.float64 if config["trainer"].get("precision") == "64-true" else torch.float32)
    batch = {
        name: filled(value) for name, value in meta_batch(config, format, spec, tokenizer).items() if name not in task.read_in_evaluation
    }
    lower = torch.autocast("cpu", dtype=torch.bfloat16, enabled=config["trainer"].get("precision") == "bf16-mixed")
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        with lower:
            result = task(batch)
        result.loss.backward()
        del result
    events = sorted(
        (event for event in recorded.profiler.kineto_results.events() if event.name() == "[memory]"), key=lambda e: e.start_ns()
    )
    live, peak = 0, 0
    for event in events:
        live += event.nbytes()
        peak = max(peak, live)
    return peak


def filled(value):
    """A tensor of the processor in place of one of the meta device: places count up, other numbers are an id that is a target."""
    if not isinstance(value, Tensor):
        return value
    if value.dim() == 1:
        return torch.arange(len(value))
    return torch.full(value.shape, 5, dtype=value.dtype)


@pytest.mark.parametrize("words", RUNS, ids=lambda words: words[0])
def test_a_step_allocates_what_the_plan_says(words):
    config = compose([*words, *SMALL]).config
    assert step_cost(config).peak == pytest.approx(allocated(config), rel=0.15)


def test_activation_checkpointing_and_a_smaller_batch_keep_less():
    words = [*RUNS[0], *SMALL]
    costs = [
        step_cost(compose([*words, *more]).config)
        for more in ([], ["model.decoder.activation_checkpointing=true"], ["data.batches.budget=256"])
    ]
    whole, recomputed, half = (sum(cost.kept.values()) for cost in costs)
    assert recomputed < 0.7 * whole and costs[1].peak < costs[0].peak and half == pytest.approx(whole / 2, rel=0.1)
    assert {"model.decoder attention", "model.decoder feed_forward"} <= costs[0].kept.keys()
    assert costs[1].flops > 1.1 * costs[0].flops == pytest.approx(2.2 * costs[2].flops)


@pytest.mark.parametrize("name", sorted(catalogue.load().names("optimizer")))
def test_the_state_of_an_optimizer_is_what_a_step_makes(name):
    config = compose(["task=completion", *SMALL, "model.max_length=32", f"optimizer={name}"]).config
    task = build_on_meta(config)
    real = build_on_meta(config).to_empty(device="cpu")
    optimizer = build(config["optimizer"], model=real)
    for parameter in real.parameters():
        torch.nn.init.normal_(parameter)
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    tensors = [value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor)]
    assert optimizer_bytes(task, config) == sum(tensor.untyped_storage().nbytes() for tensor in tensors)


def test_bytes_of_a_ring_and_memory_of_shards():
    cost = StepCost(weights=800, gradients=600, optimizer=1200, rows=1, tokens=1, kept={"a": 50}, peak=70, layer=100, in_layers=400)
    chunks = [0] * 4  # sent by each of four processes, in three rounds of a reduce-scatter and three of an all-gather
    for _ in range(2 * 3):
        chunks = [sent + 600 // 4 for sent in chunks]
    assert bytes_sent(cost, 4, sharded=False) == chunks[0]
    assert bytes_sent(cost, 4, sharded=True) == 3 / 4 * (800 + 400 + 600)
    assert bytes_sent(cost, 1, sharded=False) == 0
    assert sum(memory_of_a_device(cost, 1, sharded=False).values()) == 800 + 600 + 1200 + 70
    sharded = memory_of_a_device(cost, 4, sharded=True)
    assert (sharded["weights"], sharded["optimizer state"], sharded["gathered layers"]) == (200, 300, 700)


def test_parts_are_named_without_numbers():
    assert part_of("model.decoder.layers.3.attention.query") == "model.decoder attention"
    assert part_of("model.tokens.table") == "model.tokens" and part_of("head") == "head"


def test_a_plan_of_other_machines_is_printed_and_refuses_what_is_no_number(capsys):
    words = ["check", "task=completion", *SMALL, "model.max_length=32", "trainer=fsdp", "trainer.devices=64", "trainer.num_nodes=8"]
    assert main([*words, "tflops=100", "bandwidth=25"]) == 0
    text = capsys.readouterr().out
    assert "512 processes, 64 on each of 8 machines" in text and f"{512 * 512:,} tokens a step" in text
    assert re.search(r"^share +\d+%", text, re.MULTILINE) and "before activations" not in text
    for wrong in ("tflops=fast", "bandwidth=-1", "trainer.devices=100000"):
        assert main([*words, wrong]) == 2
        assert wrong.partition("=")[0] in capsys.readouterr().err
