"""Registry of parts: `register` makes a class an option, `build` makes an object of a config node.

The signature of a class is its config. A parameter with a default is an option; a parameter without one is a context argument, which the
owner passes when it builds the part and which no config contains; a default made by `choice` is a slot for another part.
"""

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from framework.errors import UserError
from framework.registry.names import check_names, nearest, option_name
from framework.registry.rules import broken, expressions, names_in
from framework.registry.signature import CONTEXT, signature

_classes: dict[str, dict[str, type]] = {}  # kind -> name -> class
_registrars: dict[type, str] = {}  # the module whose import registers a class
_homes: Callable[[], Mapping[str, str]] = dict  # "kind/name" -> the module that registers it; framework/__init__.py sets it


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
        return cls(**arguments)

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


def register(kind: str, name: str | None = None, context: Iterable[str] = ()) -> Callable[[type], type]:
    """Makes a class the option `kind/name`. The default name is the class name without its kind: `LinearAttention` -> `linear`.

    context: context arguments that have a default (for classes of other libraries).
    UserError: the name is taken (both classes are named), or a rule of the class is not a Python expression.

    >>> @register("feed_forward")
    ... class LinearFeedForward(torch.nn.Linear):
    ...     def __init__(self, dim: int, bias: bool):
    ...         super().__init__(dim, dim, bias=bias)
    >>> Part("feed_forward/linear")(dim=4, bias=True)(torch.ones(4)).shape
    torch.Size([4])
    """

    registrar = sys._getframe(1).f_globals["__name__"]  # the module to import, also where the class is another library's

    def add(cls: type) -> type:
        key = name or option_name(cls.__name__, kind)
        known = _classes.setdefault(kind, {}).setdefault(key, cls)
        if known is not cls and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise UserError(
                f"{kind}/{key} is registered twice: {known.__module__}.{known.__qualname__} and {cls.__module__}.{cls.__qualname__}"
            )
        for rule in expressions(getattr(cls, "rules", {}), getattr(cls, "provides", ())):
            try:
                names_in(rule)
            except SyntaxError as error:
                where = f"{kind}/{key} ({cls.__module__}.{cls.__qualname__})"
                raise UserError(f"{where}: the rule {rule!r} is not a Python expression: {error.msg}") from error
        _classes[kind][key] = cls
        _registrars[cls] = registrar
        if context:
            CONTEXT[cls] = frozenset(context)
        return cls

    return add


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
    UserError: there is no such part; the message names the nearest and all others of the kind."""
    kind, _, name = part.partition("/")
    if name not in _classes.get(kind, {}):
        homes = _homes()
        if part in homes:
            importlib.import_module(homes[part])
        if name not in _classes.get(kind, {}):
            names = sorted({*_classes.get(kind, {}), *(home.partition("/")[2] for home in homes if home.startswith(f"{kind}/"))})
            raise UserError(f"there is no {kind} {name!r}{nearest(name, names)}; there are: {', '.join(names) or 'none'}")
    return _classes[kind][name]


def registered() -> dict[str, dict[str, type]]:
    """Every class imported so far: kind -> name -> class."""
    return {kind: dict(names) for kind, names in _classes.items()}


def look_up_homes(homes: Callable[[], Mapping[str, str]]) -> None:
    """Sets the function that `get` calls for a part whose module has not been imported: "kind/name" -> the module that registers it."""
    global _homes
    _homes = homes


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
