"""A part in toy models, for the contract tests of parts."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from framework.errors import UserError
from framework.registry import Choice, Part, broken, option_of, signature
from framework.testing.toy_models import OPTIONS, build_toy, perturb
from framework.testing.toy_task import FAMILIES, traits

STACKS = ("encoder", "decoder")


class ToyPart:
    """A part in toy models of one family, beside other parts.

    slot: what the part fills: a slot of the model, or `model`. beside: slot -> Part. window: of every stack. options: of the model.
    """

    def __init__(
        self,
        slot: str,
        part: Part,
        family: str,
        beside: Mapping[str, Part],
        window: int | None = None,
        options: Mapping[str, Any] | None = None,
    ):
        self.slot, self.part, self.family, self.beside, self.window = slot, part, family, dict(beside), window
        self.options = dict(options or {})
        target = part if slot == "model" else Part(f"model/{family}")
        filled = {} if slot == "model" else {slot: part}
        self.node = Part(target.target, **{**OPTIONS, **target.values, **filled, **self.beside, **self.options})
        self.traits = traits(self.node)
        windows = {} if window is None else self._windows(window)
        self.has_window = bool(windows)
        self.node.values |= windows

    @property
    def name(self) -> str:
        """The family and the other parts of the toy model, for messages."""
        return f"{self.family} with {self.beside_names}" if self.beside_names else self.family

    @property
    def beside_names(self) -> str:
        """The other parts and the window, for messages."""
        names = [f"{slot}/{option_of(part)}" for slot, part in self.beside.items()]
        return ", ".join(names if self.window is None else [*names, f"window={self.window}"])

    def model(self, seed: int = 0, **options: Any) -> Any:
        """A toy model in float64, with weights as after some training."""
        model = build_toy(self.node, seed, **options).double()
        perturb(model, seed)
        return model

    def small_model(self) -> Any:
        """A toy model with one layer, if the part can do with one."""
        try:
            return self.model(num_layers=1)
        except UserError:
            return self.model()

    def parts(self, model: nn.Module) -> list[Any]:
        """The part's modules in the model."""
        return [module for module in model.modules() if isinstance(module, self.part.cls)]

    def refuses(self, trait: str) -> bool:
        """Whether a rule of the part refuses a trait of other parts."""
        values = {**signature(self.part.cls).fields, **self.part.values}
        about_parts = {rule: reason for rule, reason in getattr(self.part.cls, "rules", {}).items() if "provided" in rule}
        return bool(broken(about_parts, {**values, "provided": {trait}}) and not broken(about_parts, {**values, "provided": set()}))

    def refusals(self) -> list[str]:
        """The reasons of rules that refuse the combination, as `check` gives them."""
        owners = [self.node, *self._stacks().values()]
        parts = [*owners, *(part for owner in owners for part in _filled(owner).values())]
        names: dict[str, Any] = {}
        for owner in owners:
            names |= _values(owner)
        names["provided"] = set().union(*(traits(part, names) for part in parts))
        return [reason for part in parts for reason in broken(getattr(part.cls, "rules", {}), {**names, **_values(part)})]

    def _stacks(self) -> dict[str, Part]:
        return {slot: part for slot, part in _filled(self.node).items() if slot in STACKS}

    def _windows(self, window: int) -> dict[str, Part]:
        """The stacks that have a window, with it."""
        stacks = {slot: part for slot, part in self._stacks().items() if "window" in signature(part.cls).fields}
        return {slot: Part(part.target, **{**part.values, "window": window}) for slot, part in stacks.items()}


def _filled(owner: Part) -> dict[str, Part]:
    """Slot -> part, without the slots that are empty or follow a slot of an owner."""
    fields = {**signature(owner.cls).fields, **owner.values}
    empty = {slot for slot, part in fields.items() if isinstance(part, Choice) and (part.name is None or part.follows)}
    return {slot: part for slot, part in fields.items() if isinstance(part, Part) and slot not in empty}


def _values(part: Part) -> dict[str, Any]:
    """The names that a rule may use for the values of a part."""
    fields = {**signature(part.cls).fields, **part.values}
    slots = {f"{slot}_part": option_of(value) for slot, value in fields.items() if isinstance(value, Part)}
    return {name: value for name, value in fields.items() if not isinstance(value, Part)} | slots


def families_with(slot: str) -> list[str]:
    """Families of models that have a slot."""
    return [family for family in FAMILIES if slot in signature(Part(f"model/{family}").cls).fields]
