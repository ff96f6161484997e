"""The space of a search: the overrides of several values or of an interval, and how many trials are made in it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from framework import registry
from framework.config import catalogue as index
from framework.config.hydra_source import key_of
from framework.config.sweeping import parse_overrides
from framework.errors import UserError
from framework.utils.typed import check_fields
from framework.utils.yaml_files import read_yaml

OPTIONS: dict[str, Any] = {"trials": 20, "sampler": "tpe", "pruner": "median"}
_CHOICES = {"sampler": ("tpe", "random"), "pruner": ("median", "none")}


@dataclass(frozen=True)
class Axis:
    """The values of one override. choices: as they are typed; or numbers from low to high, both among them, `whole` ones or multiples of
    step from low on (None = any), equally likely by their logarithm or by themselves."""

    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    log: bool = False
    step: float | None = None

    @classmethod
    def of(cls, override: Override) -> "Axis":
        """The values of an override in Hydra's grammar. UserError: an interval or a range without values."""
        sweep = override.value()
        log = "log" in getattr(sweep, "tags", ())
        if isinstance(sweep, IntervalSweep) and sweep.start is not None and sweep.end is not None:
            axis = cls((), sweep.start, sweep.end, isinstance(sweep.start, int), log)
        elif isinstance(sweep, RangeSweep) and (values := list(sweep.range())):
            axis = cls((), values[0], values[-1], all(isinstance(value, int) for value in values), log, float(sweep.step))
        else:
            axis = cls(tuple(map(str, override.sweep_string_iterator())))
        if not axis.choices and (axis.low >= axis.high or (log and axis.low <= 0)):
            raise UserError(f"{override.input_line}: from a number to a larger one{', above 0 for tag(log, ...)' * log}")
        if log and not isinstance(sweep, IntervalSweep):
            raise UserError(f"{override.input_line}: tag(log, ...) is for an interval; listed values are equally likely")
        return axis

    def ends(self) -> tuple[str, ...]:
        """All choices, or both ends, as they are typed."""
        return self.choices or tuple(self.text(value) for value in (self.low, self.high))

    def text(self, value: Any) -> str:
        """A value as it is typed."""
        return str(round(value)) if self.whole else str(value)

    def wandb(self) -> dict[str, Any]:
        """The same in W&B's words. https://docs.wandb.ai/models/sweeps/sweep-config-keys"""
        if self.choices:
            return {"values": list(self.choices)}
        kind = f"{'q_' if self.step else ''}{'log_' if self.log else ''}{'uniform'}{'_values' if self.log else ''}"
        low, high = (round(value) if self.whole else value for value in (self.low, self.high))
        if self.whole and not self.log and self.step in (None, 1.0):
            return {"distribution": "int_uniform", "min": low, "max": high}
        step = {"q": round(self.step) if self.whole else self.step} if self.step else {"q": 1} if self.whole else {}
        return {"distribution": f"q_{kind}" if self.whole and not self.step else kind, "min": low, "max": high, **step}


@dataclass(frozen=True)
class Space:
    """axes: by key. fixed: the overrides of every trial. trials: how many are made. sampler: tpe or random. pruner: median or none."""

    axes: Mapping[str, Axis]
    fixed: tuple[str, ...]
    trials: int
    sampler: str
    pruner: str

    @classmethod
    def of(cls, words: Sequence[str], folders: Iterable[Path] = ()) -> "Space":
        """The space of a command line with `sweep=NAME`: that of the preset, and what is typed, which takes precedence.
        UserError: there is no such preset or option, or nothing to search."""
        folders = list(folders)
        options = dict(OPTIONS)
        for word in words:
            key, _, value = word.partition("=")
            if key == "sweep":
                options |= _preset(value, folders)
            elif is_search_word(word):
                name = key.removeprefix("sweep.")
                if name not in OPTIONS:
                    raise UserError(f"{word}: a search has no such option{registry.nearest(name, OPTIONS)}; it has: {', '.join(OPTIONS)}")
                options[name] = int(value) if name == "trials" and value.isdecimal() else value
        _check(options)
        typed = parse_overrides([word for word in words if not is_search_word(word)], folders)
        keys = {override.get_key_element().lstrip("+") for override in typed}
        given = parse_overrides([f"{key}={text}" for key, text in options.pop("space", {}).items() if key not in keys], folders)
        axes = {each.get_key_element(): Axis.of(each) for each in [*given, *typed] if each.is_sweep_override()}
        if not axes:
            raise UserError("the search has nothing to choose: add sweep=NAME of a space, or values, optimizer.lr=interval(1e-4,1e-2)")
        fixed = tuple(each.input_line or "" for each in [*given, *typed] if not each.is_sweep_override())
        return cls(axes, fixed, **options)

    def words(self, values: Mapping[str, str]) -> tuple[str, ...]:
        """The overrides of a trial. values: key -> value as it is typed."""
        return (*self.fixed, *(f"{key}={value}" for key, value in values.items()))

    def points(self) -> list[dict[str, str]]:
        """Points to check before the first trial: the first value of every axis, then each other choice or end with the first of the
        others."""
        first = {key: axis.ends()[0] for key, axis in self.axes.items()}
        return [first, *({**first, key: value} for key, axis in self.axes.items() for value in axis.ends()[1:])]

    def identity(self) -> tuple[str, ...]:
        """A key that is equal for equal searches; the number of trials, which may grow, is not part of it."""
        axes = (f"{key}={axis}" for key, axis in self.axes.items())
        own = (word for word in self.fixed if key_of(word) not in ("runs", "name"))
        return tuple(sorted([*own, *axes, f"sweep.sampler={self.sampler}", f"sweep.pruner={self.pruner}"]))


def is_search_word(word: str) -> bool:
    """Whether an override is of the search itself."""
    return key_of(word) == "sweep" or key_of(word).startswith("sweep.")


def _preset(name: str, folders: Iterable[Path]) -> dict[str, Any]:
    catalogue = index.load().with_folders(folders)
    presets = catalogue.presets.get("sweep", {})
    if name not in presets:
        known = ", ".join(sorted(presets))
        raise UserError(f"sweep={name}: there is no such space{registry.nearest(name, presets)}; there are: {known}")
    path = Path(presets[name]["file"])
    content = read_yaml(path)
    if not isinstance(content, dict) or not set(content) <= {*OPTIONS, "space"}:
        raise UserError(f"{path}: a space has {', '.join(OPTIONS)} and space")
    check_fields(content, {"space": dict[str, str], "trials": int}, path)
    return content


def _check(options: Mapping[str, Any]) -> None:
    if not isinstance(options["trials"], int) or options["trials"] < 1:
        raise UserError(f"sweep.trials={options['trials']}: a number of trials, at least 1")
    for name, choices in _CHOICES.items():
        if options[name] not in choices:
            raise UserError(f"sweep.{name}={options[name]}: choose one of {', '.join(choices)}")
