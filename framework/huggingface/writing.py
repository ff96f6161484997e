"""Writes a model in the layout of a published family: config.json, model.safetensors, generation_config.json, and tokenizer files."""

from collections.abc import Iterable, Mapping
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
from framework.huggingface.node import model_node
from framework.utils.json_text import to_json
from framework.weights.safetensors_files import save_tensors
from framework.weights.shapes import few

if TYPE_CHECKING:
    from torch import Tensor

    from framework.data.tokenization.tokenizer import Tokenizer

_DECODING = (  # options with the same name in generation_config.json
    "max_new_tokens",
    "min_new_tokens",
    "no_repeat_ngram_size",
    "temperature",
    "top_k",
    "top_p",
    "num_beams",
    "length_penalty",
    "num_return_sequences",
)
_TEMPLATES = {  # hf_task -> templates of one text and of a pair
    "text-classification": ("{begin} $A {end}", "{begin} $A {end} $B:1 {end}:1"),
    "token-classification": ("{begin} $A {end}", None),
    "fill-mask": ("{begin} $A {end}", None),
    "text2text-generation": ("$A {end}", None),
}
_EARLY_STOPPING = {"exact": "never", "length_so_far": False, "first": True}


def find_family(node: Mapping[str, Any], spec: DataSpec, weight_names: Iterable[str] = ()) -> tuple[Family, Config]:
    """The published family that computes the same as the model of a config node, and the model's config.json in it, without the entries
    of a task. UserError: there is none; the message names the nearest family and the options in which it differs."""
    catalogue = index.load()
    nearest: tuple[tuple[int, int], list[str], Family] | None = None
    reason = ""
    families = [registry.get(f"family/{name}")() for name in catalogue.options["family"]]
    for family in sorted(families, key=lambda family: len(type(family).mro())):  # a family before those derived from it, T5 before mT5
        if node["part"] != f"model/{family.slots['']}":
            continue
        try:
            config = family.to_hf(node, spec)
            overrides = _differences(family, config, node, weight_names, catalogue)
        except UserError as error:
            reason = reason or f": {error}"
            continue
        if not overrides:
            return family, config
        distance = (sum("/" in word.partition("=")[0] for word in overrides), len(overrides))  # other parts count more than options
        if nearest is None or distance < nearest[0]:
            nearest = distance, overrides, family
    if nearest is None:
        raise UserError(f"no published family has a model like this {node['part'].partition('/')[2]}{reason}")
    raise UserError(
        f"no published family computes the same as this model. The nearest is {nearest[2].model_type}, with {' '.join(nearest[1])}; "
        "to=safetensors exports the model as it is"
    )


def _differences(family: Family, config: Config, node: Mapping[str, Any], weight_names: Iterable[str], catalogue: Catalogue) -> list[str]:
    """Overrides that turn the model into the one of this config.json."""
    parts = family.from_hf(config, family.weight_table().hf_names(weight_names))
    if family.output_bias is not None:  # a weight in the published layout, not an entry of config.json
        parts.values["output_bias"] = node["output_bias"]
    return differences(model_node(parts, catalogue), normalized(node), catalogue)


def to_hf_weights(family: Family, state: "Mapping[str, Tensor]", hf_task: str | None) -> "dict[str, Tensor]":
    """A task's weights in the published layout. UserError: some have no counterpart in it."""
    import torch

    table = family.weight_table(hf_task)
    unused = family.task_heads[hf_task].unused if hf_task else ()
    state = {name: value for name, value in state.items() if not name.startswith(unused)} if unused else state
    if missing := table.missing(state):
        raise UserError(f"{family.model_type} has no counterpart for the weights {few(missing)}")
    weights = {name: tensor.detach().contiguous() for name, tensor in table.to_hf(state)}
    if family.output_bias is not None and hf_task is not None:
        weights.setdefault(family.output_bias, torch.zeros(1, len(state["model.tokens.weight"])))
    return weights


def architecture_of(family: Family, hf_task: str | None, variant: str) -> str:
    """The published class of a task. UserError: the family has none, or its head is of another variant."""
    if hf_task is None:
        return family.base_architecture
    if hf_task not in family.task_heads:
        raise UserError(f"{family.model_type} has no class for {hf_task}; it has classes for: {', '.join(family.task_heads) or 'no task'}")
    head = family.task_heads[hf_task]
    if head.variant and head.variant != variant:
        raise UserError(
            f"{head.architecture} computes its scores by {head.variant!r}, this task by {variant!r}; to=safetensors exports it as it is"
        )
    return head.architecture


def model_config(config: Config, architecture: str, spec: DataSpec, task_entries: Mapping[str, Any], hf_task: str | None) -> Config:
    """config.json with the entries of the tokenizer and the task."""
    special = {"pad_token_id": spec.padding, "bos_token_id": spec.begin, "eos_token_id": spec.end}
    labels = {int(number): str(label) for number, label in task_entries.get("id2label", {}).items()}
    config = {"architectures": [architecture], **config, **special, **task_entries, "dtype": "float32"}
    if labels:
        config |= {"id2label": labels, "label2id": {label: number for number, label in labels.items()}, "num_labels": len(labels)}
    if hf_task == "text2text-generation":
        config["decoder_start_token_id"] = spec.decoder_start
    return config


def generation_config(decoding: Mapping[str, Any] | None, spec: DataSpec, hf_task: str | None) -> Config | None:
    """generation_config.json; None for a task that does not generate text."""
    if hf_task not in ("text2text-generation", "text-generation"):
        return None
    config: Config = {"pad_token_id": spec.padding, "bos_token_id": spec.begin, "eos_token_id": spec.end}
    if hf_task == "text2text-generation":
        config["decoder_start_token_id"] = spec.decoder_start
    options = dict(decoding or {})
    strategy = str(options.get("part", "decoding/greedy")).partition("/")[2]
    config |= {name: options[name] for name in _DECODING if options.get(name) is not None}
    if "early_stopping" in options:
        config["early_stopping"] = _EARLY_STOPPING[options["early_stopping"]]
    if "max_new_tokens" not in config:
        config["max_length"] = spec.max_length + 1  # includes the prompt; the last token is generated, never an input
    return {**config, "do_sample": strategy == "sampling"}


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(to_json(value, indent=2) + "\n", encoding="utf-8")


def write(
    folder: Path,
    node: Mapping[str, Any],
    state: "Mapping[str, Tensor]",
    spec: DataSpec,
    hf_task: str | None = None,
    variant: str = "",
    task_entries: Mapping[str, Any] | None = None,
    decoding: Mapping[str, Any] | None = None,
) -> Family:
    """Writes the model of a task into an existing folder; returns its family. UserError: see `find_family` and `architecture_of`.

    state: all weights of the task, those of its model with the prefix `model.`. task_entries: `Exportable.hf_config`.
    """
    family, config = find_family(node, spec, state)
    architecture = architecture_of(family, hf_task, variant)
    weights = to_hf_weights(family, state, hf_task)
    write_json(folder / CONFIG, model_config(config, architecture, spec, task_entries or {}, hf_task))
    if (generation := generation_config(decoding, spec, hf_task)) is not None:
        write_json(folder / "generation_config.json", generation)
    save_tensors(weights, folder / "model.safetensors", {"format": "pt"})
    return family


def write_tokenizer(tokenizer: "Tokenizer", spec: DataSpec, hf_task: str | None, folder: Path) -> None:
    """Writes tokenizer.json, whose post-processor adds the special tokens of the task, and tokenizer_config.json, which names them."""
    import tokenizers
    from tokenizers.processors import TemplateProcessing

    inner = tokenizers.Tokenizer.from_str(tokenizer.to_json())
    ids = {"begin": spec.begin, "end": spec.end}
    names = {name: inner.id_to_token(id) for name, id in ids.items() if id is not None}
    templates = _TEMPLATES.get(hf_task or "", ("$A", None))
    if hf_task == "text2text-generation" and spec.prefix:
        templates = "{begin} " + templates[0], None
    one, two = (
        " ".join(word.format(**names) for word in (text or "").split() if not word.startswith("{") or word[1:].split("}")[0] in names)
        for text in templates
    )
    used = list({str(token): ids[name] for name, token in names.items() if str(token) in f"{one} {two}"}.items())
    inner.post_processor = TemplateProcessing(single=one, pair=two or None, special_tokens=used)
    inner.encode_special_tokens = False
    inner.save(str(folder / "tokenizer.json"))
    special = {"pad_token": spec.padding, "bos_token": spec.begin, "eos_token": spec.end, "unk_token": spec.unknown}
    special |= {"cls_token": spec.begin, "sep_token": spec.end, "mask_token": spec.mask}
    config: dict[str, Any] = {name: inner.id_to_token(id) for name, id in special.items() if id is not None}
    config |= {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": spec.max_length, "clean_up_tokenization_spaces": False}
    write_json(folder / "tokenizer_config.json", config | {"padding_side": "left" if hf_task == "text-generation" else "right"})
