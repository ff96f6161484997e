"""Base class of published model families: config.json and weight names as tables that are read in both directions."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from framework.config import catalogue as index
from framework.config.derived_defaults import effective
from framework.config.validate import fits as fits_type
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.huggingface.entries import LARGEST, entry, is_size
from framework.huggingface.weight_map import WeightMap, WeightTable
from framework.utils.typed import shown

# slots of a model with learned positions: BERT's, and GPT-2's
POST_NORM = {
    "attention": "multi_head",
    "position": "learned",
    "feed_forward": "mlp",
    "norm": "layer",
    "block": "post_norm",
    "embedding_norm": "layer",
}
PRE_NORM = {**POST_NORM, "block": "pre_norm", "embedding_norm": "none"}
REQUIRED = object()  # default of a key that every config.json of the family has
Config = dict[str, Any]
ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_tanh": "gelu_new",
    "relu": "relu",
    "squared_relu": "relu2",
    "silu": "silu",
    "tanh": "tanh",
    "quick_gelu": "quick_gelu",
}
_SYNONYMS = {"gelu_pytorch_tanh": "gelu_new", "gelu_fast": "gelu_new", "swish": "silu"}  # the same functions under other names


@dataclass(frozen=True)
class OptionMap:
    """An option of the model's config node, and its key in config.json.

    path: of the option, `feed_forward.hidden`. default: value of an absent key. values: value of the option -> value of the key, where they
    differ. also: further keys with the same value. minimum: least value that the published family supports.
    """

    path: str
    key: str
    default: Any = REQUIRED
    values: Mapping[Any, Any] | None = None
    also: tuple[str, ...] = ()
    minimum: int | None = None


@dataclass(frozen=True)
class Head:
    """Task head of a published class.

    architecture: name of the class. variant: the `Exportable.head_variant` it computes; empty = any. weights: names of the whole task.
    unused: prefixes of weights that the class does not have, such as a pooler's.
    """

    architecture: str
    weights: tuple[WeightMap, ...] = ()
    variant: str = ""
    unused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parts:
    """A model as parts and options. slots: slot -> part, the model itself under "". values: path of an option -> value."""

    slots: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)


class Family:
    """A published family. A subclass declares tables, and overrides `from_hf` and `to_hf` where a table does not suffice.

    model_type: in config.json. base_prefix: prefix of the base model's weights in a class with a head. base_architecture: the class
    without a head. slots: slot -> part, the model itself under "". fixed: options with one value in the whole family. constants: keys of
    config.json with one value; another one is refused. task_heads: hf_task -> head. ignored: tensors in files that are no weights.
    output_bias: tensor with the bias of the logits, which most files store as zeros.
    """

    model_type: ClassVar[str]
    base_prefix: ClassVar[str] = ""
    base_architecture: ClassVar[str]
    slots: ClassVar[Mapping[str, str]]
    options: ClassVar[Sequence[OptionMap]]
    fixed: ClassVar[Mapping[str, Any]] = {}
    constants: ClassVar[Mapping[str, Any]] = {}
    weights: ClassVar[Sequence[WeightMap]]
    task_heads: ClassVar[Mapping[str, Head]] = {}
    ignored: ClassVar[Sequence[str]] = ()
    output_bias: ClassVar[str | None] = None

    def matches(self, config: Mapping[str, Any]) -> bool:
        """Whether a config.json is of this family."""
        return config.get("model_type") == self.model_type

    def from_hf(self, config: Mapping[str, Any], weight_names: Collection[str]) -> Parts:
        """Parts and options of a config.json; weight_names: in the files beside it. UserError: a key is missing or not supported."""
        if config.get("quantization_config"):
            raise UserError("config.json has a quantization_config: weights must be floating-point numbers of 16 bits or more")
        for key, value in self.constants.items():
            if config.get(key, value) != value:
                raise UserError(f"config.json has {key}={shown(config[key])}; {self.model_type} models need {key}={value!r}")
        values = dict(self.fixed)
        for option in self.options:
            if option.key not in config and option.default is REQUIRED:
                raise UserError(f"config.json has no {option.key}, which {self.model_type} models need")
            values[option.path] = self._option_value(option, config)
        return Parts(dict(self.slots), values)

    def _option_value(self, option: OptionMap, config: Mapping[str, Any]) -> Any:
        value = config.get(option.key, option.default)
        if option.values is None:
            type = self._type_of(option.path)
            if option.key in config and not (fits_type(value, type) and is_size(value)):
                raise UserError(f"config.json has {option.key}={shown(value)}, and it must be {type} (no larger than {LARGEST:,})")
            return value
        if value is None:
            return value
        value = _SYNONYMS.get(value, value) if option.values is ACTIVATIONS and isinstance(value, str) else value
        for option_value, key_value in option.values.items():
            if key_value == value:
                return option_value
        raise UserError(f"config.json has {option.key}={shown(value)}; supported values: {', '.join(map(str, option.values.values()))}")

    def _type_of(self, path: str) -> str:
        """The type of an option of the model, as the catalogue has it."""
        known, part, around = index.load(), f"model/{self.slots['']}", ""
        *slots, name = path.split(".")
        for slot in slots:
            around = f"{around}/{slot}" if around else slot
            part = f"{known.option(part)['slots'][slot]['kind']}/{self.slots[around]}"
        return str(known.option(part)["fields"][name]["type"])

    def to_hf(self, node: Mapping[str, Any], spec: DataSpec) -> Config:
        """config.json of a model's config node. UserError: the family has no such value."""
        config: Config = {"model_type": self.model_type, **self.constants, "vocab_size": spec.vocab_size}
        for option in self.options:
            value = effective(node, option.path)
            if option.values is not None and value is not None:
                if value not in option.values:
                    known = ", ".join(map(str, option.values))
                    raise UserError(f"{self.model_type} does not support model.{option.path}={value}; supported values: {known}")
                value = option.values[value]
            if option.minimum is not None and value < option.minimum:
                raise UserError(f"{self.model_type} needs model.{option.path} of at least {option.minimum}; it is {value}")
            config |= dict.fromkeys((option.key, *option.also), value)
        return config

    def weight_table(self, hf_task: str | None = None, prefixed: bool | None = None, node: Mapping[str, Any] | None = None) -> WeightTable:
        """Weight names of a whole task, in which those of the model begin with `model.`, and their published names.

        prefixed: whether the published names have `base_prefix`; None = if there is a head. node: of the model, to read tensors that hold
        several weights; None = only names are asked for.
        """
        has_prefix = self.base_prefix and (hf_task is not None if prefixed is None else prefixed)
        prefix = f"{self.base_prefix}." if has_prefix else ""
        head = self.task_heads[hf_task].weights if hf_task else ()
        return WeightTable(
            [*(_with_prefix(weight, prefix) for weight in self.weights), *head],
            [_hf_name(name, prefix) for name in self.ignored],
            node,
        )

    def hf_task(self, config: Mapping[str, Any], names: Collection[str] = ()) -> str | None:
        """The task of the class in a config.json; None for the base model. Of another class, such as BertForPreTraining, or of none, the
        one whose head is in the files, if there is one alone. names: of the tensors."""
        classes = self.classes(config)
        if named := [hf_task for hf_task, head in self.task_heads.items() if head.architecture in classes]:
            return named[0]
        if self.base_architecture in classes:
            return None
        there = [hf_task for hf_task, head in self.task_heads.items() if head.weights and _all_there(head.weights, names)]
        return there[0] if len(there) == 1 else None

    @staticmethod
    def classes(config: Mapping[str, Any]) -> list[str]:
        """The names of the classes that a config.json is of."""
        return entry(config, "architectures", list[str] | None) or []

    def has_class(self, config: Mapping[str, Any]) -> bool:
        """Whether a config.json is of a class of this family."""
        known = {self.base_architecture, *(head.architecture for head in self.task_heads.values())}
        return bool(known.intersection(self.classes(config)))

    def has_names(self, names: Collection[str]) -> bool:
        """Whether tensors begin with the prefix of this family, layers among them."""
        if not self.base_prefix or not any(name.startswith(f"{self.base_prefix}.") for name in names):
            return False
        return any(re.match(r"model\.(encoder|decoder)\.layers\.", name) for name in self.weight_table(None, True).from_hf(names)[0])


def _all_there(weights: Sequence[WeightMap], names: Collection[str]) -> bool:
    """Whether each of the maps has a tensor in a file."""
    return all(WeightTable([weight]).from_hf(names)[0] for weight in weights)


def _with_prefix(weight: WeightMap, prefix: str) -> WeightMap:
    """The weight map of a model as one of a task."""
    aliases = tuple(_hf_name(name, prefix) for name in weight.aliases)
    names = tuple(f"model.{name}" for name in weight.names)
    return replace(weight, name=names, hf_name=_hf_name(weight.hf_name, prefix), aliases=aliases)


def _hf_name(name: str, prefix: str) -> str:
    """The published name with its prefix, which a name that begins with `/` does not have."""
    return name[1:] if name.startswith("/") else prefix + name


def with_options(options: Sequence[OptionMap], *own: OptionMap, without: Collection[str] = ()) -> list[OptionMap]:
    """The options of another family, with `own` in place of those with the same path, and `without` some paths."""
    paths = {option.path for option in own}.union(without)
    return [*(option for option in options if option.path not in paths), *own]


def decoder_heads(language_model: str, classifier: str) -> dict[str, Head]:
    """Heads of the two classes of a decoder-only family; the classifier is a linear map of the last token's hidden state."""
    score = (WeightMap("head.weight", "score.weight"),)
    return {"text-generation": Head(language_model), "text-classification": Head(classifier, score, variant="last, linear without bias")}


def layer_weights(prefix: str, hf_prefix: str, names: Mapping[str, str]) -> tuple[WeightMap, ...]:
    """Weight maps of every layer of a stack; names: weight -> published name, both without prefix."""
    return tuple(WeightMap(f"{prefix}.{name}", f"{hf_prefix}.{hf_name}") for name, hf_name in names.items())
