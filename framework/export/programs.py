"""Which programs a task is exported as: one that computes a batch at once, or those that write step by step."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from framework.errors import UserError
from framework.export.modules import Continuing, LookingStepping, Remembering, Rewriting, Scoring, Stepping
from framework.export.program import Program, Shape, Slot
from framework.generation.engine import has_position_table
from framework.parts.caches import Cache
from framework.registry import describe
from framework.runs.predictor import Predictor
from framework.tasks.capabilities import Exportable

PROBES = ((2, 3), (3, 4))  # texts and tokens: what tells which sizes of a tensor are which
LABELING = ("text-classification", "token-classification", "fill-mask")
GROWN = "past + tokens"


def whole(loaded: Predictor) -> Program:
    """What the task computes of a batch at once. UserError: the task does not support export."""
    hf_task, model = exportable(loaded).hf_task, loaded.task.model
    if hf_task in LABELING:
        return scoring(loaded)
    logits = [Slot("logits", ("batch", "tokens", loaded.spec.vocab_size))]
    if hf_task == "text-generation":
        return Program("model", Continuing(model), text(loaded, "ids", "tokens", "padding_mask", "left"), logits, limits(loaded, "tokens"))
    inputs = [*text(loaded, "source", "source", "source_padding_mask"), *text(loaded, "target", "tokens")]
    return Program("model", Rewriting(model), inputs, logits, limits(loaded, "source", "tokens"))


def stepwise(loaded: Predictor) -> list[Program]:
    """The same for a task that labels; for one that writes, what its decoder makes of the next tokens and of what it kept: `model`, or
    `decoder` behind `encoder`. UserError: the task does not support export, or an attention not what it keeps."""
    hf_task, model = exportable(loaded).hf_task, loaded.task.model
    if hf_task in LABELING:
        return [scoring(loaded)]
    for cache in model.decoder.caches():
        if type(cache).state is Cache.state:
            raise UserError(
                f"{type(cache).__name__} does not say as which tensors it is kept between two steps (Cache.state and load_state), so no "
                "program can be given them; to=torch exports the model without a cache"
            )
    if hf_task == "text-generation":
        past, layers = kept("past", "past", lambda batch, tokens: written(model, model.state(), batch, tokens))
        return [stepping(loaded, "model", Stepping(model, layers, []), [], past)]

    def remembered(batch: int, tokens: int) -> list[tuple[Tensor, ...]]:
        return model.decoder.encoder_keys_values(model.encode(torch.zeros(batch, tokens, dtype=torch.long)))

    def past_of(batch: int, tokens: int) -> list[tuple[Tensor, ...]]:
        return written(model, model.state(model.encode(torch.zeros(batch, 2, dtype=torch.long))), batch, tokens)

    encoded, encoded_layers = kept("encoder_keys_values", "source", remembered)
    past, layers = kept("past", "past", past_of)
    reads = text(loaded, "source", "source", "source_padding_mask")
    encoder = Program("encoder", Remembering(model), reads, encoded, limits(loaded, "source"))
    return [encoder, stepping(loaded, "decoder", LookingStepping(model, layers, encoded_layers), [reads[1], *encoded], past)]


def exportable(loaded: Predictor) -> Exportable:
    """The task. UserError: it does not support export."""
    if not isinstance(loaded.task, Exportable):
        raise UserError(
            f"{describe(type(loaded.task))} has no program: its class must inherit Exportable (hf_task, export_forward; docs/export.md); "
            "to=safetensors exports its weights as they are"
        )
    return loaded.task


def scoring(loaded: Predictor) -> Program:
    task = exportable(loaded)
    inputs = text(loaded, "ids", "tokens", "padding_mask")
    if "segments" in task.export_inputs:
        inputs.append(Slot("segments", ("batch", "tokens"), "ids", below=2))
    module = Scoring(task)

    def scores(batch: int, tokens: int) -> list[tuple[Tensor, ...]]:
        return [(module(*Program("", module, inputs, ()).example(batch=batch, tokens=tokens)),)]

    (found,), _ = kept("", "tokens", scores)
    return Program("model", module, inputs, [Slot("scores", found.shape)], limits(loaded, "tokens"))


def stepping(loaded: Predictor, name: str, module: nn.Module, source: Sequence[Slot], past: Sequence[Slot]) -> Program:
    before = Slot("past_padding_mask", ("batch", "past"), "left")
    inputs = [*text(loaded, "ids", "tokens", "padding_mask", "left"), before, *source, *past]
    logits = Slot("logits", ("batch", "tokens", loaded.spec.vocab_size))
    return Program(name, module, inputs, [logits, *map(present, [before, *past])], limits(loaded, "tokens"))


def present(slot: Slot) -> Slot:
    """What comes out to be put in as this one at the next step."""
    shape = tuple(GROWN if size == "past" else size for size in slot.shape)
    return Slot(slot.name.replace("past", "present"), shape, slot.kind)


def text(loaded: Predictor, name: str, size: str, padding_mask: str | None = None, side: Any = "right") -> list[Slot]:
    """Ids of texts, and which of them are tokens."""
    ids = Slot(name, ("batch", size), "ids", loaded.spec.vocab_size)
    return [ids] if padding_mask is None else [ids, Slot(padding_mask, ("batch", size), side)]


def limits(loaded: Predictor, *names: str) -> dict[str, int]:
    return dict.fromkeys(names, loaded.spec.max_length) if has_position_table(loaded.task.model) else {}


def written(model: Any, state: Any, batch: int, tokens: int) -> list[tuple[Tensor, ...]]:
    """What each layer keeps of so many texts."""
    if state.encoder_keys_values:
        state.reorder(torch.zeros(batch, dtype=torch.long))
    model.decode(torch.zeros(batch, tokens, dtype=torch.long), state)
    return [cache.state() for cache in state.caches]


def kept(name: str, grows: str, probe: Callable[[int, int], list[tuple[Tensor, ...]]]) -> tuple[list[Slot], list[int]]:
    """What layers keep, as slots, and how many each has. probe: what they keep of so many texts and tokens."""
    with torch.no_grad():
        one, other = (probe(*sizes) for sizes in PROBES)
    slots = [
        Slot(f"{name}.{layer}.{number}", shape(tensor, larger, grows), "kept")
        for layer, pairs in enumerate(zip(one, other, strict=True))
        for number, (tensor, larger) in enumerate(zip(*pairs, strict=True))
    ]
    return slots, [len(tensors) for tensors in one]


def shape(one: Tensor, other: Tensor, grows: str) -> Shape:
    """The sizes of a tensor by what it has for the two probes."""
    (batch, tokens), found = zip(*PROBES, strict=True), []
    for sizes in zip(one.shape, other.shape, strict=True):
        assert sizes in (batch, tokens) or sizes[0] == sizes[1], f"a size that grows neither with texts nor with tokens: {sizes}"
        found.append("batch" if sizes == batch else grows if sizes == tokens else sizes[0])
    return tuple(found)
