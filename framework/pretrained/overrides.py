"""Overrides that name a pretrained model, and those that one stands for."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from framework.config import catalogue as index
from framework.config.quoting import quote, quoted, read_value, unquoted
from framework.huggingface.family import Parts
from framework.huggingface.node import drop_typed, model_overrides
from framework.pretrained.frozen import OPTIONS as FROZEN
from framework.pretrained.source import OPTION, PretrainedSource, Sources
from framework.registry.layers import layer_settings, shortest
from framework.runs.folder import Run
from framework.tracking.artifacts import is_artifact, versioned
from framework.weights.layer_selection import OPTION as LAYERS

_NAMES_A_RUN = (OPTION, *FROZEN)


def pinned(words: Iterable[str]) -> list[str]:
    """Overrides with `runs/last` replaced by the folder it points to now, since the first job of a sweep moves it, and the alias of an
    artifact of W&B by its version."""
    return [_pinned(word) if word.lstrip("+").partition("=")[0] in _NAMES_A_RUN else word for word in quoted(words)]


def _pinned(word: str) -> str:
    option, _, names = word.partition("=")
    if (name := unquoted(names)) != names:
        return word if (fixed := _fixed(name)) == name else f"{option}={quote(fixed)}"
    return f"{option}={','.join(map(_fixed, names.split(',')))}"


def _fixed(name: str) -> str:
    if is_artifact(name):
        return versioned(name)
    if Path(name).name != "last":
        return name
    folder = Run.open(Path(name)).folder
    return str(folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder)


def overrides_from(typed: Sequence[str], sources: Sources) -> list[str]:
    """The overrides that a command line with model.pretrained=PUBLISHED stands for: the options of that model, and its tokenizer.

    A group that was typed is left as it was typed; `transfer.check_pretrained` compares a typed model with the published one.
    """
    name = pretrained_name(typed)
    model, tokenizer = (any(re.match(rf"\+*{group}[=@]", word) for word in typed) for group in ("model", "tokenizer"))
    if name is None or (model and tokenizer):  # nothing is left to say, and the folder may be gone
        return []
    source = sources.published(name)
    if source is None:
        return []
    parts = _with_layers_of(source.published.parts, typed)
    options = [] if model else drop_typed(model_overrides(parts, index.load()), typed)
    return options if tokenizer else [*options, *tokenizer_overrides(source)]


def _with_layers_of(parts: Parts, typed: Sequence[str]) -> Parts:
    """The parts of a published model, with the patterns of the layers that `model.init_layers` selects."""
    words = [word for word in typed if word.lstrip("+").startswith(f"{LAYERS}=")]
    chosen = read_value(words[-1]) if words else None
    values = dict(parts.values)
    for stack in ("encoder", "decoder"):
        numbers = chosen.get(stack) if isinstance(chosen, dict) else chosen
        if isinstance(numbers, list) and numbers and (pattern := values.get(f"{stack}.layers")):
            depth = (values.get("num_decoder_layers") if stack == "decoder" else None) or values["num_layers"]
            settings = layer_settings(pattern, depth)
            if all(isinstance(number, int) and 0 <= number < depth for number in numbers):  # else `select_layers` says what is wrong
                values[f"{stack}.layers"] = shortest([settings[number] for number in numbers])
    return Parts(parts.slots, values)


def tokenizer_overrides(source: PretrainedSource) -> list[str]:
    """The overrides that choose the tokenizer of a source."""
    values = {key: value for key, value in source.tokenizer.items() if key != "part"}
    return ["tokenizer=pretrained", *(f"tokenizer.{key}={quote(str(value))}" for key, value in values.items())]


def pretrained_name(typed: Sequence[str]) -> str | None:
    """The typed value of model.pretrained; None if there is none, or several for a sweep."""
    values = [word.partition("=")[2] for word in typed if word.lstrip("+").startswith(f"{OPTION}=")]
    value = values[-1] if values else ""
    if (name := unquoted(value)) != value:
        return name or None
    return value if value not in ("", "null") and "," not in value else None
