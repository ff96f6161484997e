"""Parameter groups with their learning rates and weight decay."""

import sys
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from torch import Tensor, nn

from framework.errors import UserError

Group = dict[str, Any]


class LayerRates:
    """An optimizer with layer-wise learning rates (`lr_multipliers`).

    lr: peak learning rate of the schedule.
    weight_decay: of matrices; norms and biases do not decay.
    layer_decay: ratio of the learning rate of a layer to that of the layer above (0.65 to 0.95 are usual in fine-tuning); 1 = equal rates.
    head_lr_multiplier: multiplies the learning rate of the parameters that the task adds to the model.
    """

    rules: ClassVar[dict[str, str]] = {
        "0 <= lr < 1e6": "lr must be below 1,000,000, and not negative; at 0 the weights stay as they are",
        "0 <= weight_decay < 1e3": "weight_decay must not be negative, and below 1,000",
        "0 < layer_decay <= 1": "layer_decay must be in (0, 1]; freeze layers with model.freeze",
        "0 < head_lr_multiplier < 1e6": "head_lr_multiplier must be positive and below 1,000,000; freeze parameters with model.freeze",
    }
    option_traits: ClassVar[dict[str, tuple[str, ...]]] = {"optimizer_state": ("layer_decay", "head_lr_multiplier")}
    state_tensors: ClassVar[int] = 2  # most state tensors of the size of a parameter

    @classmethod
    def check(cls, model: nn.Module, layer_decay: float, head_lr_multiplier: float, **_: Any) -> None:
        """UserError: the options do not fit the model. Without the optimizer, before the first of which torch imports its compiler."""
        lr_multipliers(model, layer_decay, head_lr_multiplier)


def parameter_groups(
    task: nn.Module,
    lr: float,
    weight_decay: float,
    layer_decay: float = 1.0,
    head_lr_multiplier: float = 1.0,
    only: Iterable[nn.Parameter] | None = None,
) -> list[Group]:
    """Groups of the trainable parameters, highest learning rate first. Matrices decay; norms and biases (fewer than 2 dimensions) do not.

    only: the parameters to group; None = all.

    >>> groups = parameter_groups(torch.nn.Linear(3, 2), lr=0.1, weight_decay=0.01)
    >>> [(len(group["params"]), group["lr"], group["weight_decay"]) for group in groups]
    [(1, 0.1, 0.01), (1, 0.1, 0.0)]
    """
    multipliers = lr_multipliers(task, layer_decay, head_lr_multiplier)
    selected = None if only is None else {id(parameter) for parameter in only}
    members: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in task.named_parameters():
        if parameter.requires_grad and (selected is None or id(parameter) in selected):
            members.setdefault((multipliers[name], parameter.ndim >= 2), []).append(parameter)
    return [
        {"params": parameters, "lr": lr * multiplier, "weight_decay": weight_decay if decays else 0.0}
        for (multiplier, decays), parameters in sorted(members.items(), key=lambda item: item[0], reverse=True)
    ]


def is_sharded(tensor: Tensor) -> bool:
    """Whether a tensor is a shard of FSDP2. torch.distributed.tensor takes a second to import."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def is_stack(module: nn.Module) -> bool:
    """Whether a module is a stack of layers, as encoders and decoders are: it has a module list named `layers`."""
    return isinstance(getattr(module, "layers", None), nn.ModuleList)


def lr_multipliers(task: nn.Module, layer_decay: float, head_lr_multiplier: float) -> dict[str, float]:
    """parameter name -> multiplier of the learning rate. Howard and Ruder 2018, section 3.2, https://arxiv.org/abs/1801.06146;
    Clark et al. 2020 (ELECTRA), appendix B, https://arxiv.org/abs/2003.10555

    | parameters                                                        | multiplier         |
    |-------------------------------------------------------------------|--------------------|
    | parameters that the task adds to the model                        | head_lr_multiplier |
    | top layer of a stack, its final norm, the model's output layer    | 1                  |
    | layer k below the top of its stack                                | layer_decay ** k   |
    | positions of a stack of n layers                                  | layer_decay ** n   |
    | embeddings, with n layers in the deepest of the stacks after them | layer_decay ** n   |

    UserError: layer_decay is set for a model without a stack.
    """
    depths = dict(_below_top(task))
    if layer_decay != 1.0 and not any(depths.values()):
        raise UserError("optimizer.layer_decay needs a model with a stack of layers, and this one has none: set optimizer.layer_decay=1")
    return {name: layer_decay ** depths[name] if name in depths else head_lr_multiplier for name, _ in task.named_parameters()}


def _below_top(task: nn.Module) -> Iterator[tuple[str, int]]:
    """Names of the model's parameters, each with the number of layers above it in its stack. Modules before a stack are below all of its
    layers and those of later stacks; modules after the last stack are at the top."""
    level = 0
    for name, child in reversed(list(getattr(task, "model", nn.Module()).named_children())):
        if not is_stack(child):
            yield from ((full_name, level) for full_name, _ in child.named_parameters(f"model.{name}"))
            continue
        inside = 0
        for part, module in reversed(list(child.named_children())):
            if not isinstance(module, nn.ModuleList):
                yield from ((full_name, inside) for full_name, _ in module.named_parameters(f"model.{name}.{part}"))
                continue
            for number, layer in reversed(list(module.named_children())):
                yield from ((full_name, inside) for full_name, _ in layer.named_parameters(f"model.{name}.{part}.{number}"))
                inside += 1
        yield from ((f"model.{name}.{part}", inside) for part, _ in child.named_parameters(recurse=False))
        level = max(level, inside)
    yield from ((f"model.{name}", level) for name, _ in getattr(task, "model", nn.Module()).named_parameters(recurse=False))
