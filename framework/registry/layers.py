"""Patterns of layers: what differs between the layers of a stack.

    [linear, linear, multi_head]                              repeats over the layers; a name is an attention
    [{window: null}, {}, {}]                                  {} = a layer as the stack says
    {every 4: {position: none}, last: {feed_forward: mlp}}    for some layers; where several speak of one, the last counts

Layers are counted from 0. An entry has slots (attention, cross, feed_forward, norm, position) and the option window; what it does not name
is that of the stack.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from framework.errors import UserError
from framework.registry.names import nearest

Pattern = Sequence[Any] | Mapping[str, Any] | None
Setting = dict[str, Any]  # slot or option -> value

SLOTS = ("attention", "cross", "feed_forward", "norm", "position")
OPTIONS = ("window",)
ADDED = "added"  # the trait of positions that are added to the embeddings, which every layer sees
_TERM = re.compile(r"(?P<first>\d+)(?:-(?P<last>\d+))?|(?P<word>first|last|every)(?: (?P<number>\d+))?")
_WAYS = "write first, last 2, every 3, 0, or 4-7 (layers are counted from 0), several with commas"


def layer_settings(pattern: Pattern, num_layers: int) -> list[Setting]:
    """The settings of each layer that differ from those of its stack. UserError: a list that is longer than the stack, or a selector of
    layers that it does not have."""
    if pattern is None:
        return [{} for _ in range(num_layers)]
    if not isinstance(pattern, Mapping):
        if not 0 < len(pattern) <= num_layers:
            raise UserError(
                f"the pattern has {len(pattern)} entries, and the stack {num_layers}; a pattern repeats, so it has 1 to {num_layers}"
            )
        return [dict(as_setting(pattern[layer % len(pattern)])) for layer in range(num_layers)]
    settings: list[Setting] = [{} for _ in range(num_layers)]
    for selector, entry in pattern.items():
        for layer in selected(str(selector), num_layers):
            settings[layer] |= as_setting(entry)
    return settings


def as_setting(entry: Any) -> Mapping[str, Any]:
    """The entry of a pattern as a mapping; a name or a part is the layer's attention. UserError: it is neither, or a key is unknown."""
    if isinstance(entry, Mapping) and "part" not in entry and "is" not in entry:
        for key in entry:
            if key not in (*SLOTS, *OPTIONS):
                known = ", ".join((*SLOTS, *OPTIONS))
                raise UserError(f"{key!r} cannot differ between layers{nearest(str(key), (*SLOTS, *OPTIONS))}; what can: {known}")
            if key in SLOTS and not entry[key] and entry[key] != {}:
                raise UserError(f"{key} of a layer is {entry[key]!r}: name one, as {key}: none or {{is: NAME, ...}}")
        return entry
    if not entry or isinstance(entry, (bool, int, float, list, tuple)):
        raise UserError(
            f"{entry!r} is no layer: write the name of an attention, or a mapping such as {{window: null}}; {{}} = as the stack"
        )
    return {"attention": entry}


def selected(selector: str, num_layers: int) -> list[int]:
    """The layers that a selector names. UserError: it cannot be read, or there are none, or not so many."""
    layers: list[int] = []
    for term in selector.split(","):
        match = _TERM.fullmatch(term.strip())
        if not match:
            raise UserError(f"{selector!r} selects no layers: {_WAYS}")
        number = int(match["number"] or 1)
        if match["word"] == "every":
            chosen = list(range(number - 1, num_layers, number)) if match["number"] and number else []
        elif match["word"]:
            chosen = list(range(num_layers)[:number] if match["word"] == "first" else range(num_layers)[-number:] if number else [])
            chosen = chosen if len(chosen) == number else []
        else:
            chosen = list(range(int(match["first"]), int(match["last"] or match["first"]) + 1))
        if not chosen or chosen[-1] >= num_layers:
            raise UserError(
                f"{term.strip()!r} selects layers that there are not: the stack has {num_layers}, 0 to {num_layers - 1}; {_WAYS}"
            )
        layers += chosen
    return layers


def with_entries(pattern: Pattern, change: Callable[[str, Mapping[str, Any]], Mapping[str, Any]]) -> Pattern:
    """The pattern with changed entries. change(place, setting): place is the entry's number or selector."""
    if pattern is None:
        return None
    if isinstance(pattern, Mapping):
        if twice := [selector for selector in pattern if str(selector) != selector and str(selector) in pattern]:
            raise UserError(f"the layers {twice[0]} have two entries, by number and by text: write one")
        return {str(selector): change(str(selector), as_setting(entry)) for selector, entry in pattern.items()}
    return [change(str(number), as_setting(entry)) for number, entry in enumerate(pattern)]


def misplaced(own: Sequence[str] | Mapping[str, Any], layers: Sequence[str] | Mapping[str, Any]) -> str | None:
    """Why a layer cannot have a position of its own; None: it can. own, layers: the traits of the stack's position and of the layer's."""
    if ADDED in own or ADDED in layers:
        whose = "stack" if ADDED in own else "layer"
        return (
            f"the position of the {whose} is added to the embeddings, which every layer sees: rotary and biases can differ between layers"
        )
    return None


def shortest(settings: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]] | None:
    """The shortest list that, repeated, gives these settings of the layers; None if nothing differs."""
    if not any(settings):
        return None
    lengths = range(1, len(settings) + 1)
    size = next(size for size in lengths if all(setting == settings[layer % size] for layer, setting in enumerate(settings)))
    return list(settings[:size])


def numbered(layers: Sequence[int]) -> str:
    """Layers in words.

    >>> numbered([3]), numbered([0, 1, 2, 5])
    ('layer 3', 'layers 0 to 2, 5')
    """
    runs: list[list[int]] = []
    for layer in layers:
        if runs and layer == runs[-1][-1] + 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    texts = [f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    return f"{'layer' if len(layers) == 1 else 'layers'} {', '.join(texts)}"
