"""A published family of models as a list of our parts, by two tables read in both directions: its options and its weights."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from framework.config.derived_defaults import effective
from framework.errors import UserError
from framework.huggingface.table import Row, Table

if TYPE_CHECKING:
    from framework.data.spec import DataSpec

NEEDED = object()  # a key that every config.json of the family has
Config = dict[str, Any]
ACTIVATIONS = {"gelu": "gelu", "gelu_tanh": "gelu_new", "relu": "relu", "squared_relu": "relu2", "silu": "silu", "tanh": "tanh"}
_SYNONYMS = {"gelu_pytorch_tanh": "gelu_new", "gelu_fast": "gelu_new", "swish": "silu"}  # the same functions under other names


@dataclass(frozen=True)
class Option:
    """An option of ours, by its path in a model's node, and the key of theirs that says the same.

    default: theirs, where a file does not say. names: ours -> theirs where the words differ. also: keys that say it once more.
    least: below which theirs has no meaning.
    """

    ours: str
    theirs: str
    default: Any = NEEDED
    names: Mapping[Any, Any] | None = None
    also: tuple[str, ...] = ()
    least: int | None = None


@dataclass(frozen=True)
class Head:
    """What a task adds to a model, as a published class has it.

    architecture: the published class. variant: the `Exportable.head_variant` that the class computes; empty = the class fits any.
    rows: the task's weights and theirs, full names. without: beginnings of our names that the class has no use for (a pooler).
    """

    architecture: str
    rows: tuple[Row, ...] = ()
    variant: str = ""
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parts:
    """What a model is made of. chosen: slot -> option, the model itself under "". values: path -> value."""

    chosen: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)


class Family:
    """One published family. A subclass is two tables, and overrides `ours` and `theirs` where a table cannot say it.

    type: `model_type` in their config.json. base: what stands before the names of the bare model's weights where a head was added.
    bare: the class of the model without a head. chosen: slot -> option, the model itself under "". fixed: options of ours that the family
    always has. constants: keys of theirs that it always has; a file that says otherwise is refused. task_heads: hf_task of a
    task -> what it adds. ignored: what their files hold beside weights. bias: a tensor that
    files have for a bias of the output, though it is of zeros in most.
    """

    type: ClassVar[str]
    base: ClassVar[str] = ""
    bare: ClassVar[str]
    chosen: ClassVar[Mapping[str, str]]
    options: ClassVar[Sequence[Option]]
    fixed: ClassVar[Mapping[str, Any]] = {}
    constants: ClassVar[Mapping[str, Any]] = {}
    rows: ClassVar[Sequence[Row]]
    task_heads: ClassVar[Mapping[str, Head]] = {}
    ignored: ClassVar[Sequence[str]] = ()
    bias: ClassVar[str | None] = None

    def suits(self, config: Mapping[str, Any]) -> bool:
        """Whether a config.json is of this family."""
        return config.get("model_type") == self.type

    def ours(self, config: Mapping[str, Any], names: Collection[str]) -> Parts:
        """The parts that a config.json tells of; names: of the weights beside it. UserError: one that we have no part for."""
        for key, value in self.constants.items():
            if config.get(key, value) != value:
                raise UserError(f"config.json has {key}={config[key]!r}, and {self.type} is read with {key}={value!r} alone")
        values = dict(self.fixed)
        for option in self.options:
            if option.theirs not in config and option.default is NEEDED:
                raise UserError(f"config.json has no {option.theirs}, which {self.type} cannot do without")
            values[option.ours] = self._value(option, config)
        return Parts(dict(self.chosen), values)

    def _value(self, option: Option, config: Mapping[str, Any]) -> Any:
        value = config.get(option.theirs, option.default)
        if option.names is None or value is None:
            return value
        value = _SYNONYMS.get(value, value) if option.names is ACTIVATIONS else value
        for ours, theirs in option.names.items():
            if theirs == value:
                return ours
        known = ", ".join(map(str, option.names.values()))
        raise UserError(f"config.json has {option.theirs}={value!r}, and there is no part for it; there are parts for {known}")

    def theirs(self, node: Mapping[str, Any], spec: "DataSpec") -> Config:
        """The config.json of a model of this family."""
        config: Config = {"model_type": self.type, **self.constants, "vocab_size": spec.vocab_size}
        for option in self.options:
            value = effective(node, option.ours)
            if option.names is not None and value is not None:
                if value not in option.names:
                    raise UserError(f"{self.type} has no {option.theirs} for model.{option.ours}={value}")
                value = option.names[value]
            if option.least is not None and value < option.least:
                raise UserError(f"{self.type} has a {option.theirs} of {option.least} at least (model.{option.ours}={value})")
            config |= dict.fromkeys((option.theirs, *option.also), value)
        return config

    def table(self, hf_task: str | None = None, based: bool | None = None) -> Table:
        """Our names and theirs for the weights of a whole task (`model.` before those of its model).

        based: whether `base` stands before the names of the bare model; null = where there is a head.
        """
        before = f"{self.base}." if self.base and (hf_task is not None if based is None else based) else ""
        head = self.task_heads[hf_task].rows if hf_task else ()
        return Table([*(_named(row, before) for row in self.rows), *head], [_placed(name, before) for name in self.ignored])

    def hf_task(self, config: Mapping[str, Any]) -> str | None:
        """What the class that a config.json names adds to the model; none where it is the bare model, or a class we know no task for."""
        named = config.get("architectures") or ()
        return next((hf_task for hf_task, head in self.task_heads.items() if head.architecture in named), None)


def _named(row: Row, before: str) -> Row:
    """The row of a whole task. A name that begins with `/` stands outside the bare model."""
    return Row(
        tuple(f"model.{part}" for part in row.parts),
        _placed(row.theirs, before),
        row.form,
        tuple(_placed(name, before) for name in row.copies),
    )


def _placed(name: str, before: str) -> str:
    return name[1:] if name.startswith("/") else before + name


def layer(ours: str, theirs: str, rows: Mapping[str, str]) -> tuple[Row, ...]:
    """Rows of every layer of a stack: what stands before the names, and the names."""
    return tuple(Row(f"{ours}.{mine}", f"{theirs}.{other}") for mine, other in rows.items())
