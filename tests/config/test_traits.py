"""Traits of options: declared by a class and its bases, checked when parts are indexed."""

import pytest

from framework import registry
from framework.config import catalogue as index
from framework.config.inventory import TRAITS, option_traits
from framework.errors import UserError


class Base:
    framework_options = ("files",)
    files = None
    option_traits = {"pattern": ("files",), "training_only": ("noise", "speed")}


class Reader(Base):
    option_traits = {"may_change": ("folder", "files")}

    def __init__(self, folder: str = ".", noise: float = 0.0):
        pass


def test_a_class_has_the_traits_of_its_bases():
    """A base may name an option that only some of its subclasses have (speed)."""
    assert option_traits(Reader) == {"folder": ["may_change"], "files": ["may_change", "pattern"], "noise": ["training_only"]}


def test_a_constructor_of_ones_own_is_not_ruled_by_that_of_the_base():
    class Ruled(Reader):
        option_traits = {"ruled": ("noise",)}

        def __init__(self, noise: float = 0.0):
            pass

    class Renamed(Ruled):
        pass

    class Stricter(Ruled):
        def __init__(self, noise: float = 0.0):
            raise ValueError(noise)

    assert [option_traits(cls)["noise"] for cls in (Ruled, Renamed, Stricter)] == [["ruled", "training_only"]] * 2 + [["training_only"]]


def test_an_unknown_trait_is_refused():
    class Wrong(Reader):
        option_traits = {"may_chance": ("folder",)}

    with pytest.raises(UserError, match=r"Wrong: there is no option trait 'may_chance' \(did you mean 'may_change'\?\)"):
        option_traits(Wrong)


def test_an_unknown_option_is_refused():
    class Wrong(Reader):
        option_traits = {"may_change": ("foldre",)}

    with pytest.raises(UserError, match=r"may_change names the option 'foldre'.* \(did you mean 'folder'\?\)"):
        option_traits(Wrong)


def test_every_trait_of_ours_is_one_of_an_option():
    """A base class that is not registered could misspell an option unnoticed."""
    classes = [registry.get(f"{kind}/{name}") for kind, names in index.load().options.items() for name in names]
    declared = {
        (base, trait, option)
        for cls in classes
        for base in cls.__mro__
        for trait, options in vars(base).get("option_traits", {}).items()
        for option in options
    }
    used = {
        (base, trait, option)
        for cls in classes
        for option, traits in option_traits(cls).items()
        for trait in traits
        for base in cls.__mro__
    }
    assert declared and declared <= used
    assert {trait for _, trait, _ in declared} == set(TRAITS)
