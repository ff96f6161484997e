"""Programs of a task, for a whole batch or for incremental decoding, and the files that describe their inputs and outputs."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from framework.errors import UserError
from framework.export.modules import (
    CrossDecoderStep,
    DecoderLogits,
    DecoderStep,
    EncoderDecoderLogits,
    EncoderKeysValues,
    FeatureScores,
    Scores,
)
from framework.export.program import Program, Shape, TensorSpec
from framework.generation.engine import has_position_table
from framework.parts.caches import Cache
from framework.registry import describe
from framework.runs.predictor import Predictor
from framework.tasks.capabilities import Exportable
from framework.utils.json_text import to_json

PROBES = ((2, 3), (3, 4))  # (batch, tokens) of two calls: a size of a tensor that differs between them is symbolic
LABELING = ("text-classification", "token-classification", "fill-mask")
GROWN = "past + tokens"
Layers = list[tuple[Tensor, ...]]


def batch_program(loaded: Predictor) -> Program:
    """The task's scores or logits of a whole batch. UserError: the task does not support export."""
    hf_task, model = exportable(loaded).hf_task, loaded.task.model
    if hf_task in LABELING:
        return scores_program(loaded)
    logits = [TensorSpec("logits", ("batch", "tokens", loaded.spec.vocab_size))]
    if hf_task == "text-generation":
        inputs = text_inputs(loaded, "ids", "tokens", "padding_mask", "left_padding")
        return Program("model", DecoderLogits(model), inputs, logits, limits(loaded, "tokens"))
    inputs = [*text_inputs(loaded, "source", "source", "source_padding_mask"), *text_inputs(loaded, "target", "tokens")]
    return Program("model", EncoderDecoderLogits(model), inputs, logits, limits(loaded, "source", "tokens"))


def incremental_programs(loaded: Predictor) -> list[Program]:
    """The batch program of a labeling task; for a task that generates text one decoding step: `model`, or `encoder` and `decoder`.
    UserError: the task does not support export, or the cache of an attention does not."""
    hf_task, model = exportable(loaded).hf_task, loaded.task.model
    if hf_task in LABELING:
        return [scores_program(loaded)]
    for cache in model.decoder.caches():
        if type(cache).state is Cache.state:
            raise UserError(
                f"{type(cache).__name__} has no state and load_state, which a graph with a cache needs; to=torch exports the model "
                "without a cache"
            )
    if hf_task == "text-generation":
        past, sizes = state_specs("past", "past", lambda batch, tokens: caches_after(model, model.state(), batch, tokens))
        return [decoder_program(loaded, "model", DecoderStep(model, sizes), [], past)]

    def encoder_keys_values(batch: int, tokens: int) -> Layers:
        return model.decoder.encoder_keys_values(model.encode(torch.zeros(batch, tokens, dtype=torch.long)))

    def caches(batch: int, tokens: int) -> Layers:
        return caches_after(model, model.state(model.encode(torch.zeros(batch, 2, dtype=torch.long))), batch, tokens)

    encoded, encoder_sizes = state_specs("encoder_keys_values", "source", encoder_keys_values)
    past, sizes = state_specs("past", "past", caches)
    source = text_inputs(loaded, "source", "source", "source_padding_mask")
    encoder = Program("encoder", EncoderKeysValues(model), source, encoded, limits(loaded, "source"))
    return [encoder, decoder_program(loaded, "decoder", CrossDecoderStep(model, sizes, encoder_sizes), [source[1], *encoded], past)]


def exportable(loaded: Predictor) -> Exportable:
    """The task. UserError: it does not support export."""
    if not isinstance(loaded.task, Exportable):
        raise UserError(
            f"{describe(type(loaded.task))} has no program: its class must inherit Exportable (hf_task, export_forward; docs/export.md); "
            "to=safetensors exports its weights as they are"
        )
    loaded.task.check_exportable()
    return loaded.task


def write_interface(loaded: Predictor, programs: Sequence[Program], folder: Path) -> None:
    """Writes tokenizer.json, data_spec.json and interface.json: names, shapes and types of inputs and outputs, labels, postprocessing."""
    loaded.tokenizer.save(folder / "tokenizer.json")
    loaded.spec.save(folder / "data_spec.json")
    task = exportable(loaded)
    id2label = task.hf_config().get("id2label", {})
    labels = [id2label[number] for number in sorted(id2label)]
    interface: dict[str, Any] = {"hf_task": task.hf_task, "labels": labels, **task.postprocessing()}
    interface |= {program.name: program.interface() for program in programs}
    (folder / "interface.json").write_text(to_json(interface, indent=1) + "\n", encoding="utf-8")


def scores_program(loaded: Predictor) -> Program:
    task = exportable(loaded)
    inputs = text_inputs(loaded, "ids", "tokens", "padding_mask")
    if "segments" in task.export_inputs:
        inputs.append(TensorSpec("segments", ("batch", "tokens"), "ids", below=2))
    module = Scores(task)
    if (features := task.export_features()) is not None:
        inputs.append(TensorSpec("features", ("batch", "tokens", features.count), "ids", below=features.below))
        module = FeatureScores(task)

    def scores(batch: int, tokens: int) -> Layers:
        return [(module(*Program("", module, inputs, ()).example(batch=batch, tokens=tokens)),)]

    (spec,), _ = state_specs("", "tokens", scores)
    return Program("model", module, inputs, [TensorSpec("scores", spec.shape)], limits(loaded, "tokens"))


def decoder_program(loaded: Predictor, name: str, module: nn.Module, source: Sequence[TensorSpec], past: Sequence[TensorSpec]) -> Program:
    past_padding_mask = TensorSpec("past_padding_mask", ("batch", "past"), "left_padding")
    inputs = [*text_inputs(loaded, "ids", "tokens", "padding_mask", "left_padding"), past_padding_mask, *source, *past]
    logits = TensorSpec("logits", ("batch", "tokens", loaded.spec.vocab_size))
    return Program(name, module, inputs, [logits, *map(present, [past_padding_mask, *past])], limits(loaded, "tokens"))


def present(past: TensorSpec) -> TensorSpec:
    """The output that is the input `past` of the next step."""
    shape = tuple(GROWN if size == "past" else size for size in past.shape)
    return TensorSpec(past.name.replace("past", "present"), shape, past.kind)


def text_inputs(loaded: Predictor, name: str, size: str, padding_mask: str | None = None, side: Any = "right_padding") -> list[TensorSpec]:
    """Token ids, and their padding mask if it has a name."""
    ids = TensorSpec(name, ("batch", size), "ids", loaded.spec.vocab_size)
    return [ids] if padding_mask is None else [ids, TensorSpec(padding_mask, ("batch", size), side)]


def limits(loaded: Predictor, *names: str) -> dict[str, int]:
    return dict.fromkeys(names, loaded.spec.max_length) if has_position_table(loaded.task.model) else {}


def caches_after(model: Any, state: Any, batch: int, tokens: int) -> Layers:
    """The state of every layer's cache after so many tokens."""
    if state.encoder_keys_values:
        state.reorder(torch.zeros(batch, dtype=torch.long))
    model.decode(torch.zeros(batch, tokens, dtype=torch.long), state)
    return [cache.state() for cache in state.caches]


def state_specs(name: str, grows: str, probe: Callable[[int, int], Layers]) -> tuple[list[TensorSpec], list[int]]:
    """Specs of the tensors of every layer, and their number in each. probe: (batch, tokens) -> the tensors; grows: the size of tokens."""
    with torch.no_grad():
        one, other = (probe(*sizes) for sizes in PROBES)
    specs = [
        TensorSpec(f"{name}.{layer}.{number}", symbolic_shape(tensor, larger, grows), "state")
        for layer, pairs in enumerate(zip(one, other, strict=True))
        for number, (tensor, larger) in enumerate(zip(*pairs, strict=True))
    ]
    return specs, [len(tensors) for tensors in one]


def symbolic_shape(one: Tensor, other: Tensor, grows: str) -> Shape:
    """The shape of a tensor, from the tensors of the two probes."""
    (batch, tokens), shape = zip(*PROBES, strict=True), []
    for sizes in zip(one.shape, other.shape, strict=True):
        assert sizes in (batch, tokens) or sizes[0] == sizes[1], f"neither batch nor tokens nor a constant: {sizes}"
        shape.append("batch" if sizes == batch else grows if sizes == tokens else sizes[0])
    return tuple(shape)
