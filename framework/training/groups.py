"""The parameters of a task in groups: which are trained at what rate, and which decay."""

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from torch import nn

from framework.errors import UserError

Group = dict[str, Any]


class LayerRates:
    """An optimizer that can train layers at different rates (`rate_factors`).

    layer_decay: factor on the rate from each layer to the one below it (0.65 to 0.95 are usual to fine-tune); 1 = all alike.
    head_lr_multiplier: factor on the rate of what the task adds to the model.
    """

    rules: ClassVar[dict[str, str]] = {
        "layer_decay > 0": "each layer learns; model.freeze names those that should not",
        "head_lr_multiplier > 0": "what the task adds learns; model.freeze names what should not",
    }
    option_traits: ClassVar = {"optimizer_state": ("layer_decay", "head_lr_multiplier")}
    state_tensors: ClassVar[int] = 2  # the size of a weight that the optimizer keeps for each weight, at most


def groups(
    task: nn.Module,
    lr: float,
    weight_decay: float,
    layer_decay: float = 1.0,
    head_lr_multiplier: float = 1.0,
    only: Iterable[nn.Parameter] | None = None,
) -> list[Group]:
    """Groups of what is trained, highest rate first: matrices decay; norms and biases (fewer than two dimensions) do not.

    only: of these parameters; None = of all.
    """
    factors = rate_factors(task, layer_decay, head_lr_multiplier)
    wanted = None if only is None else {id(parameter) for parameter in only}
    found: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in task.named_parameters():
        if parameter.requires_grad and (wanted is None or id(parameter) in wanted):
            found.setdefault((factors[name], parameter.ndim >= 2), []).append(parameter)
    return [
        {"params": parameters, "lr": lr * factor, "weight_decay": weight_decay if decays else 0.0}
        for (factor, decays), parameters in sorted(found.items(), key=lambda item: item[0], reverse=True)
    ]


def is_stack(module: nn.Module) -> bool:
    """Whether a module is a stack of layers, as encoders and decoders are: it has a module list named `layers`."""
    return isinstance(getattr(module, "layers", None), nn.ModuleList)


def rate_factors(task: nn.Module, layer_decay: float, head_lr_multiplier: float) -> dict[str, float]:
    """Factor on the learning rate by the name of a parameter. Howard and Ruder 2018, section 3.2, https://arxiv.org/abs/1801.06146;
    Clark et al. 2020 (ELECTRA), appendix B, https://arxiv.org/abs/2003.10555

    | parameters                                                        | factor                                         |
    |-------------------------------------------------------------------|------------------------------------------------|
    | what the task adds to the model                                   | head_lr_multiplier                             |
    | the top layer of a stack, its final norm, the model's output      | 1                                              |
    | a layer k below the top of its stack                              | layer_decay ** k                               |
    | positions of a stack of n layers                                  | layer_decay ** n                               |
    | embeddings, before stacks of which the deepest has n layers       | layer_decay ** n                               |

    UserError: layers are to be trained at different rates, and the model has none.
    """
    depths = dict(_below_top(task))
    if layer_decay != 1.0 and not any(depths.values()):
        raise UserError("optimizer.layer_decay gives each layer of a stack a rate of its own, and this model has no stack: leave it at 1")
    return {name: layer_decay ** depths[name] if name in depths else head_lr_multiplier for name, _ in task.named_parameters()}


def _below_top(task: nn.Module) -> Iterator[tuple[str, int]]:
    """Names of the model's parameters, and how many layers each stands below the top. What stands before a stack stands below all of
    it, and below those that follow; what stands behind the last is at the top."""
    level = 0
    for name, child in reversed(list(getattr(task, "model", nn.Module()).named_children())):
        if not is_stack(child):
            yield from _each(child, f"model.{name}", level)
            continue
        inside = 0
        for part, module in reversed(list(child.named_children())):
            if not isinstance(module, nn.ModuleList):
                yield from _each(module, f"model.{name}.{part}", inside)
                continue
            for number, layer in reversed(list(module.named_children())):
                yield from _each(layer, f"model.{name}.{part}.{number}", inside)
                inside += 1
        yield from ((f"model.{name}.{part}", inside) for part, _ in child.named_parameters(recurse=False))
        level = max(level, inside)
    yield from ((f"model.{name}", level) for name, _ in getattr(task, "model", nn.Module()).named_parameters(recurse=False))


def _each(module: nn.Module, prefix: str, level: int) -> Iterator[tuple[str, int]]:
    for name, _ in module.named_parameters(prefix):
        yield name, level
