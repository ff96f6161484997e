"""Registry of parts: `register` makes a class an option, `build` makes an object of a config node.

The signature of a class is its config. A parameter with a default is an option; a parameter without one is a context argument, which the
owner passes when it builds the part and which no config contains; a default made by `choice` is a slot for another part.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from framework.errors import UserError, place_of
from framework.registry.names import check_names, nearest, option_name
from framework.registry.rules import broken, expressions, names_in, null_message, null_mistake, unknown_name
from framework.registry.signature import CONTEXT, check_contract, signature

Class = TypeVar("Class")

_classes: dict[str, dict[str, type]] = {}  # kind -> name -> class
_registrars: dict[type, str] = {}  # the module whose import registers a class
_catalogue: "Callable[[], Known] | None" = None  # what is known of all packages; framework/__init__.py sets it
# The kinds of the framework's own parts. Plugins add others.
KINDS = (
    *("adapter", "attention", "batches", "block", "callback", "data", "decoder", "decoding", "distillation", "encoder", "family"),
    *("feed_forward", "format", "model", "norm", "optimizer", "position", "schedule", "task", "tokenizer", "tracker", "trainer"),
)


class Known(Protocol):
    """The catalogue as the registry uses it: the parts of all packages, also those that have not been imported."""

    @property
    def packages(self) -> Mapping[str, str]:
        """Import name of a package that brings parts -> its plugin name; empty for the framework."""

    def home(self, part: str) -> str | None:
        """The module that registers `KIND/NAME`."""

    def names(self, kind: str) -> list[str]:
        """The options of a kind."""

    def rule_names(self) -> set[str] | None:
        """The names that the rule of some part may use; None while the packages are being indexed."""


class Part:
    """A part that is not built yet: a class or `KIND/NAME`, and values of its options.

    Calling it with context arguments builds the object: `Part(MultiHeadAttention, num_kv_heads=2)(dim=64, num_heads=4, ...)`. An owner
    passes the same arguments to all parts of a kind; each part takes those that its signature has.

    >>> part = Part("norm/layer")
    >>> part(dim=8, epsilon=1e-5, bias=True).weight.shape
    torch.Size([8])
    """

    def __init__(self, target: "type | str", /, **values: Any):
        self.target, self.values = target, values

    @property
    def cls(self) -> type:
        return get(self.target) if isinstance(self.target, str) else self.target

    def __call__(self, **context: Any) -> Any:
        """The built object. UserError: an unknown option, a missing context argument, or a broken rule of the part."""
        cls = self.cls
        parameters = signature(cls)
        check_names(self.values, parameters.fields, f"{describe(cls)} has no option")
        arguments: dict[str, Any] = {}
        for name in parameters.context:
            if name in context:
                arguments[name] = context[name]
            elif name in parameters.required:
                raise UserError(f"{describe(cls)} needs {name!r}, which its owner does not pass; it passes: {', '.join(sorted(context))}")
        for name, default in parameters.fields.items():
            value = self.values.get(name, default)
            if isinstance(default, Choice):
                if value is None or (value is default and default.follows):
                    value = context.get(default.follows, default) if default.follows else value
                value = as_part(value)
            if name not in parameters.framework_options:
                arguments[name] = value
        options = {name: self.values.get(name, parameters.fields[name]) for name in parameters.framework_options}
        slots = {f"{name}_part": option_of(value) for name, value in {**arguments, **options}.items() if isinstance(value, Part)}
        if reasons := broken(getattr(cls, "rules", {}), {**arguments, **options, **slots}):
            raise UserError(f"{describe(cls)}: {'; '.join(reasons)}")
        built = cls(**arguments)
        check_contract(built, describe(cls))
        return built

    def __repr__(self) -> str:
        return f"Part({self.target!r}, {self.values})"


class Choice(Part):
    """The default of a slot: its kind, the default option (None: the slot is empty), and the owner's slot that it follows."""

    def __init__(self, kind: str, name: str | None, follows: str | None):
        super().__init__(f"{kind}/{name}")
        self.kind, self.name, self.follows = kind, name, follows


def choice(kind: str, name: str | None, follows: str | None = None) -> Any:
    """The default of a parameter that is a slot for a part of `kind`. With `follows`, an empty slot takes the owner's part of that slot.

    >>> class Stack:
    ...     def __init__(self, dim, norm=choice("norm", "rms")):
    ...         self.norm = norm(dim=dim, epsilon=1e-5, bias=False)
    >>> Part(Stack)(dim=8).norm.weight.shape
    torch.Size([8])
    >>> type(Part(Stack, norm=Part("norm/none"))(dim=8).norm).__name__
    'NoNorm'
    """
    return Choice(kind, name, follows)


def register(
    kind: str, name: str | None = None, context: Iterable[str] = (), new_kind: bool = False
) -> Callable[[type[Class]], type[Class]]:
    """Makes a class the option `kind/name`. The default name is the class name without its kind: `LinearAttention` -> `linear`.

    context: context arguments that have a default (for classes of other libraries).
    new_kind: whether the kind is meant to be a new one although its name is near that of another.
    UserError: the name is taken (both classes are named), the kind is misspelt, or a rule of the class is wrong.

    >>> @register("feed_forward")
    ... class LinearFeedForward(torch.nn.Linear):
    ...     def __init__(self, dim: int, bias: bool):
    ...         super().__init__(dim, dim, bias=bias)
    >>> Part("feed_forward/linear")(dim=4, bias=True)(torch.ones(4)).shape
    torch.Size([4])
    """

    registrar = sys._getframe(1).f_globals["__name__"]  # the module to import, also where the class is another library's

    def add(cls: type[Class]) -> type[Class]:
        key = name or option_name(cls.__name__, kind)
        where = f"{kind}/{key} ({cls.__module__}.{cls.__qualname__})"
        if not new_kind and kind not in KINDS and kind not in _classes and (near := nearest(kind, {*KINDS, *_classes}, 0.8)):
            raise UserError(f"{where}: there is no kind {kind!r}{near}. If it is meant to be new: register({kind!r}, new_kind=True)")
        if context:
            CONTEXT[cls] = frozenset(context)
        _check_rules(where, cls, registrar)
        _add(kind, key, cls, registrar)
        return cls

    return add


def _add(kind: str, name: str, cls: type, registrar: str) -> None:
    """Keeps a class under its name, beside one of the same name from another package under `PLUGIN:NAME`."""
    names = _classes.setdefault(kind, {})
    other = names.get(name)
    if other is not None and (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
        theirs, ours = _plugin(_registrars[other]), _plugin(registrar)
        if theirs == ours:
            places = " and ".join(f"{each.__module__}.{each.__qualname__}" for each in (other, cls))
            raise UserError(f"{kind}/{name} is registered twice: {places}")
        if ours:
            name = f"{ours}:{name}"
        else:
            names[f"{theirs}:{name}"] = other
    names[name] = cls
    _registrars[cls] = registrar


def _plugin(module: str) -> str:
    """The name of the plugin that a module belongs to; empty for a module of the framework or of this program."""
    known = _catalogue() if _catalogue else None
    named = [plugin for package, plugin in (known.packages if known else {}).items() if f"{module}.".startswith(f"{package}.")]
    return named[0] if named else ""


def forget(package: str) -> None:
    """Removes the classes that modules of a package registered."""
    for names in _classes.values():
        for name in [name for name, cls in names.items() if f"{_registrars[cls]}.".startswith(f"{package}.")]:
            del names[name]


def _check_rules(where: str, cls: type, registrar: str) -> None:
    """UserError: a rule of a class is no Python expression, uses a name that nobody has, or cannot be evaluated where an option is null.

    The rules of packages are checked again when these are indexed (`framework.config.rules`), where the options of all owners are known.
    """
    declared = expressions(getattr(cls, "rules", {}), getattr(cls, "provides", ()))
    for rule in declared:
        try:
            names_in(rule)
        except SyntaxError as error:
            raise UserError(f"{where}: the rule {rule!r} is not a Python expression: {error.msg}") from error
    if not declared or registrar.partition(".")[0] == __name__.partition(".")[0]:  # our own are checked when they are indexed
        return
    parameters = signature(cls)
    own = {*parameters.fields, *parameters.context, *(f"{name}_part" for name in parameters.fields), "provided"}
    known = _catalogue() if _catalogue else None
    elsewhere = known.rule_names() if known else None
    for rule in declared:
        unknown = [name for name in names_in(rule) if elsewhere and name not in own and name not in elsewhere]
        if elsewhere and unknown:
            raise UserError(unknown_name(where, rule, unknown[0], own, own | elsewhere))
        if option := null_mistake(rule, parameters.fields, parameters.nullable):
            raise UserError(null_message(where, rule, option))


def build(node: Mapping[str, Any], **context: Any) -> Any:
    """The object of a config node `{part: KIND/NAME, ...values}`. UserError: see `Part.__call__`.

    >>> build({"part": "norm/rms"}, dim=8, epsilon=1e-5, bias=False).weight.shape
    torch.Size([8])
    """
    return as_part(node)(**context)


def as_part(value: Any) -> Any:
    """A config node as a Part; anything else as it is."""
    if isinstance(value, Mapping) and "part" in value:
        return Part(value["part"], **{key: item for key, item in value.items() if key != "part"})
    return value


def option_of(part: Part) -> str | None:
    """The NAME in a part's `KIND/NAME`. None: the default of an empty slot."""
    if isinstance(part, Choice):
        return part.name
    return (part.target if isinstance(part.target, str) else describe(part.target)).rpartition("/")[2]


def get(part: str) -> type:
    """The class registered as `KIND/NAME`; the module that registers it is imported if it has not been.
    UserError: there is no such part (the message names the nearest and all others of the kind), or its package cannot be imported."""
    kind, _, name = part.partition("/")
    cls = _classes.get(kind, {}).get(name)
    if cls is not None and _registrars[cls].startswith(f"{__name__.partition('.')[0]}."):
        return cls
    known = _catalogue() if _catalogue else None  # a plugin's class may have to share its name with one that has not been imported
    home = known.home(part) if known else None
    if home is not None and (cls is None or _registrars[cls] != home):
        _import(part, home)
        plain = name.rpartition(":")[2]
        among = (one for key, one in _classes.get(kind, {}).items() if key.rpartition(":")[2] == plain and _registrars[one] == home)
        cls = next(among, None)
    if cls is None:
        names = sorted({*_classes.get(kind, {}), *(known.names(kind) if known else ())})
        raise UserError(f"there is no {kind} {name!r}{nearest(name, names)}; there are: {', '.join(names) or 'none'}")
    return cls


def _import(part: str, module: str) -> None:
    """Imports the module that registers a part. UserError: it is a plugin's and cannot be imported."""
    try:
        importlib.import_module(module)
    except Exception as error:  # other people's code may raise anything
        if not _plugin(module):
            raise
        package = importlib.util.find_spec(module.partition(".")[0])
        folder = Path(package.origin).parent if package and package.origin else Path()
        raise UserError(f"{part} cannot be used: {place_of(error, folder)}") from error


def registered() -> dict[str, dict[str, type]]:
    """Every class imported so far: kind -> name -> class."""
    return {kind: dict(names) for kind, names in _classes.items()}


def look_up_in(catalogue: Callable[[], Known]) -> None:
    """Sets the function that returns what is known of all packages."""
    global _catalogue
    _catalogue = catalogue


def registrar(cls: type) -> str:
    """The module whose import registers the class."""
    return _registrars[cls]


def describe(cls: type) -> str:
    """`kind/name` of a registered class, its Python name otherwise.

    >>> describe(type(Part("norm/rms")(dim=8, epsilon=1e-5, bias=False)))
    'norm/rms'
    """
    for kind, names in _classes.items():
        for name, known in names.items():
            if known is cls:
                return f"{kind}/{name}"
    return cls.__name__
