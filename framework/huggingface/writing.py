"""A model of ours as a published family lays it out: config.json, model.safetensors, tokenizer files, generation settings."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framework import registry
from framework.config import catalogue as index
from framework.config.catalogue import Catalogue
from framework.config.derived_defaults import normalized
from framework.config.diff import differences
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.huggingface.family import Config, Family
from framework.huggingface.folder import CONFIG
from framework.huggingface.nodes import model_node

if TYPE_CHECKING:
    from torch import Tensor

    from framework.data.tokenization.tokenizer import Tokenizer

_FRAMES = {  # hf_task -> how the tokens of one text, and of two, are framed
    "text-classification": ("{begin} $A {end}", "{begin} $A {end} $B:1 {end}:1"),
    "token-classification": ("{begin} $A {end}", None),
    "fill-mask": ("{begin} $A {end}", None),
    "text2text-generation": ("$A {end}", None),
}
_DECODING = {  # ours -> theirs, with the values that mean nothing there
    "max_new_tokens": "max_new_tokens",
    "min_new_tokens": "min_new_tokens",
    "no_repeat_ngram_size": "no_repeat_ngram_size",
    "temperature": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "num_beams": "num_beams",
    "length_penalty": "length_penalty",
    "num_return_sequences": "num_return_sequences",
}
_STOPPING = {"exact": "never", "length_so_far": False, "first": True}


@dataclass(frozen=True)
class Layout:
    """How a family writes a model: its config.json without what the task adds."""

    family: Family
    config: Config


def layout_of(node: Mapping[str, Any], spec: DataSpec, weights: Iterable[str] = ()) -> Layout:
    """The family that computes as the model of this node does; weights: names of a task's.

    UserError: none does; the nearest, and what it would take.
    """
    catalogue = index.load()
    nearest: tuple[tuple[int, int], list[str], Family] | None = None
    reason = ""
    for name in catalogue.options["family"]:
        family = registry.get(f"family/{name}")()
        if node["part"] != f"model/{family.chosen['']}":
            continue
        try:
            config = family.theirs(node, spec)
            wrong = _otherwise(family, config, node, weights, catalogue)
        except UserError as error:
            reason = reason or str(error)
            continue
        if not wrong:
            return Layout(family, config)
        distance = (sum("/" in word.partition("=")[0] for word in wrong), len(wrong))  # by parts first, then by options
        if nearest is None or distance < nearest[0]:
            nearest = distance, wrong, family
    if nearest is None:
        raise UserError(f"no published family is a {node['part'].partition('/')[2]} like this one{f': {reason}' if reason else ''}")
    raise UserError(
        f"no published family computes as this model does. The nearest is {nearest[2].type}, which would have {' '.join(nearest[1])}; "
        "to=safetensors keeps the model as it is"
    )


def _otherwise(family: Family, config: Config, node: Mapping[str, Any], weights: Iterable[str], catalogue: Catalogue) -> list[str]:
    """What a family makes of its own config.json that the model is not, as overrides."""
    parts = family.ours(config, family.table().named(weights))
    if family.bias is not None:  # which is a weight, and no option of theirs
        parts.values["output_bias"] = node["output_bias"]
    return differences(model_node(parts, catalogue), normalized(node), catalogue)


def weights_of(family: Family, state: "Mapping[str, Tensor]", hf_task: str | None) -> "dict[str, Tensor]":
    """Their names and tensors of a task's weights. UserError: some have no place there."""
    import torch

    table = family.table(hf_task)
    unused = family.task_heads[hf_task].without if hf_task else ()
    state = {name: value for name, value in state.items() if not name.startswith(unused)} if unused else state
    if lost := table.missing(state):
        raise UserError(f"{family.type} has no place for {', '.join(lost[:3])}{f' and {len(lost) - 3} more' if lost[3:] else ''}")
    written = {name: tensor.detach().contiguous() for name, tensor in table.theirs(state)}
    if family.bias is not None and hf_task is not None:
        written.setdefault(family.bias, torch.zeros(1, len(state["model.tokens.weight"])))
    return written


def head_of(family: Family, hf_task: str | None, variant: str) -> str:
    """The published class of a task. UserError: the family has none, or one that computes otherwise."""
    if hf_task is None:
        return family.bare
    if hf_task not in family.task_heads:
        raise UserError(
            f"{family.type} has no class for {hf_task}; it has some for {', '.join(family.task_heads) or 'nothing but the model'}"
        )
    head = family.task_heads[hf_task]
    if head.variant and head.variant != variant:
        raise UserError(
            f"{head.architecture} computes its scores by {head.variant!r}, and this task by {variant!r}: they would not be the same; "
            "to=safetensors keeps the task as it is"
        )
    return head.architecture


def config_of(layout: Layout, architecture: str, spec: DataSpec, told: Mapping[str, Any], hf_task: str | None) -> Config:
    """config.json. told: what the task says of itself."""
    special = {"pad_token_id": spec.padding, "bos_token_id": spec.begin, "eos_token_id": spec.end}
    labels = {int(number): str(label) for number, label in told.get("id2label", {}).items()}
    config = {"architectures": [architecture], **layout.config, **special, **told, "dtype": "float32"}
    if labels:
        config |= {"id2label": labels, "label2id": {label: number for number, label in labels.items()}, "num_labels": len(labels)}
    if hf_task == "text2text-generation":
        config["decoder_start_token_id"] = spec.decoder_start
    return config


def generation_of(decoding: Mapping[str, Any] | None, spec: DataSpec, hf_task: str | None) -> Config | None:
    """generation_config.json of a task that writes; none for one that does not."""
    if hf_task not in ("text2text-generation", "text-generation"):
        return None
    config: Config = {"pad_token_id": spec.padding, "bos_token_id": spec.begin, "eos_token_id": spec.end}
    if hf_task == "text2text-generation":
        config["decoder_start_token_id"] = spec.decoder_start
    given = dict(decoding or {})
    kind = str(given.get("part", "decoding/greedy")).partition("/")[2]
    config |= {theirs: given[ours] for ours, theirs in _DECODING.items() if given.get(ours) is not None}
    if "early_stopping" in given:
        config["early_stopping"] = _STOPPING[given["early_stopping"]]
    if "max_new_tokens" not in config:
        config["max_length"] = spec.max_length + 1  # with what it is written from; the last token is written, never read
    return {**config, "do_sample": kind == "sampling"}


def write_tokenizer(tokenizer: "Tokenizer", spec: DataSpec, hf_task: str | None, folder: Path) -> None:
    """tokenizer.json, which frames texts as the task does, and tokenizer_config.json, which names the special tokens."""
    import tokenizers
    from tokenizers.processors import TemplateProcessing

    inner = tokenizers.Tokenizer.from_str(tokenizer.to_json())
    ids = {"begin": spec.begin, "end": spec.end}
    names = {name: inner.id_to_token(id) for name, id in ids.items() if id is not None}
    frames = _FRAMES.get(hf_task or "", ("$A", None))
    if hf_task == "text2text-generation" and spec.prefix:
        frames = "{begin} " + frames[0], None
    one, two = (
        " ".join(word.format(**names) for word in (text or "").split() if not word.startswith("{") or word[1:].split("}")[0] in names)
        for text in frames
    )
    used = list({str(token): ids[name] for name, token in names.items() if str(token) in f"{one} {two}"}.items())
    inner.post_processor = TemplateProcessing(single=one, pair=two or None, special_tokens=used)
    inner.encode_special_tokens = False
    inner.save(str(folder / "tokenizer.json"))
    special = {"pad_token": spec.padding, "bos_token": spec.begin, "eos_token": spec.end, "unk_token": spec.unknown}
    special |= {"cls_token": spec.begin, "sep_token": spec.end, "mask_token": spec.mask}
    told: dict[str, Any] = {name: inner.id_to_token(id) for name, id in special.items() if id is not None}
    told |= {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": spec.max_length, "clean_up_tokenization_spaces": False}
    write_json(folder / "tokenizer_config.json", told | {"padding_side": "left" if hf_task == "text-generation" else "right"})


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write(
    folder: Path,
    node: Mapping[str, Any],
    state: "Mapping[str, Tensor]",
    spec: DataSpec,
    hf_task: str | None = None,
    variant: str = "",
    told: Mapping[str, Any] | None = None,
    decoding: Mapping[str, Any] | None = None,
) -> Layout:
    """Writes a task's model (state: all its weights, `model.` before those of the model) into a folder that exists. UserError: no published
    family computes as it does."""
    from safetensors.torch import save_file

    layout = layout_of(node, spec, state)
    architecture = head_of(layout.family, hf_task, variant)
    weights = weights_of(layout.family, state, hf_task)
    write_json(folder / CONFIG, config_of(layout, architecture, spec, told or {}, hf_task))
    if (generation := generation_of(decoding, spec, hf_task)) is not None:
        write_json(folder / "generation_config.json", generation)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return layout
