"""Parameters by part and training memory of a config, counted before any weight is allocated."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from framework.registry import get
from framework.registry.layers import layer_settings, numbered
from framework.runs.build import build_on_meta
from framework.runs.freezing import trained


def model_card(config: Mapping[str, Any], memory: bool = True) -> str:
    """Parameters by part and, if wanted, memory of a composed config, counted on the meta device."""
    task = build_on_meta(config)
    return "\n".join([parts_line(config), *parameter_lines(task), *([memory_line(task, config)] if memory else [])])


def parts_line(config: Mapping[str, Any]) -> str:
    """The parts of a model in one line: `ner with encoder_only: encoder of multi_head, learned, mlp, layer, post_norm`."""
    model = config["model"]
    stacks = []
    for stack in ("encoder", "decoder"):
        if node := model.get(stack):
            names = (node[slot]["part"].partition("/")[2] for slot in ("attention", "position", "feed_forward", "norm", "block"))
            stacks.append(f"{stack} of {', '.join(names)}")
    line = f"{config['task']['part'].partition('/')[2]} with {model['part'].partition('/')[2]}: {'; '.join(stacks)}"
    return "\n".join([line, *_layer_lines(model)])


def _layer_lines(model: Mapping[str, Any]) -> list[str]:
    """A line for the layers of a stack that differ from it alike: `  decoder layers 2, 5: attention multi_head, window null`."""
    lines = []
    for stack in ("encoder", "decoder"):
        node = model.get(stack) or {}
        if (pattern := node.get("layers")) is None:
            continue
        depth = (model.get("num_decoder_layers") if stack == "decoder" else None) or model["num_layers"]
        alike: dict[str, list[int]] = {}
        for layer, setting in enumerate(layer_settings(pattern, depth)):
            differs = {key: value for key, value in setting.items() if value != node.get(key)}
            text = ", ".join(f"{key} {_named(value, node.get(key))}" for key, value in differs.items())
            alike.setdefault(text, []).append(layer)
        lines += [f"  {stack} {numbered(layers)}: {text}" for text, layers in alike.items() if text]
    return lines


def _named(value: Any, own: Any) -> str:
    """The name of a part, with its values where the stack has the same part with others."""
    if not isinstance(value, Mapping):
        return "null" if value is None else str(value)
    name = str(value["part"]).partition("/")[2]
    if not own or own["part"] != value["part"]:
        return name
    return f"{name} with " + " ".join(f"{key}={item}" for key, item in value.items() if item != own.get(key))


def recipe_line(config: Mapping[str, Any], chosen: Mapping[str, str]) -> str:
    """The recipe that a run took, with what trains it in the end: `recipe finetune; adamw at 5e-05, linear`."""
    optimizer, schedule = (config[group]["part"].partition("/")[2] for group in ("optimizer", "schedule"))
    return f"recipe {chosen.get('recipe', 'none')}; {optimizer} at {config['optimizer'].get('lr')}, {schedule}"


def parameter_lines(task: nn.Module) -> list[str]:
    """Parameters in total and by part; tied ones are counted once, in the first part. A line for the trained ones if others are frozen."""
    seen: set[int] = set()
    lines = []
    for name, module in _parts(task):
        new = [parameter for parameter in module.parameters() if id(parameter) not in seen]
        seen.update(id(parameter) for parameter in new)
        count = sum(parameter.numel() for parameter in new)
        if count:
            lines.append(f"  {name:<28}{count:>14,}")
    total, learned = parameter_counts(task).values()
    frozen = [] if learned == total else [f"trained {learned:>36,}  ({learned / total:.2%} of them)"]
    return [f"parameters {total:>33,}", *lines, *frozen]


def parameter_counts(task: nn.Module) -> dict[str, int]:
    """The numbers of parameters and of those that are trained."""
    counts = (sum(map(nn.Parameter.numel, some)) for some in (task.parameters(), trained(task).values()))
    return dict(zip(("parameters", "trained_parameters"), counts, strict=True))


def _parts(task: nn.Module) -> list[tuple[str, nn.Module]]:
    """The submodules of the model, then those that the task adds."""
    parts = []
    for name, child in task.named_children():
        inner = list(child.named_children()) if name == "model" else []
        parts += [(f"model.{key}", module) for key, module in inner] or [(name, child)]
    return parts


def memory_sizes(task: nn.Module, config: Mapping[str, Any]) -> dict[str, int]:
    """Bytes of weights, gradients and optimizer state; activations, which depend on the batch, are not among them."""
    width = {"16-true": 2, "bf16-true": 2, "64-true": 8, "64": 8, 64: 8}.get(config["trainer"].get("precision"), 4)
    weights, learned = (width * sum(map(nn.Parameter.numel, some)) for some in (task.parameters(), trained(task).values()))
    states = getattr(get(config["optimizer"]["part"]), "state_tensors", 2)
    return {"weights": weights, "gradients": learned, "optimizer": states * learned}


def memory_line(task: nn.Module, config: Mapping[str, Any]) -> str:
    """Memory of weights, gradients and optimizer state in one line."""
    sizes = memory_sizes(task, config)
    shares = ", ".join(f"{name} {size / 2**20:,.0f}" for name, size in sizes.items())
    return f"memory {sum(sizes.values()) / 2**20:,.0f} MiB before activations: {shares}"
