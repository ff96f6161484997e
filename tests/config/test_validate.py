"""Types of config values, as the catalogue writes them."""

import pytest

from framework.config.validate import fits


@pytest.mark.parametrize(
    ("value", "kind", "right"),
    [
        (1, "int", True),
        (True, "int", False),
        (1.0, "int", False),
        (1, "float", True),
        ("x", "float", False),
        (None, "int | None", True),
        (None, "int", False),
        ("gelu", "Literal['gelu', 'relu']", True),
        ("gelo", "Literal['gelu', 'relu']", False),
        ([1, None], "list[int | None]", True),
        ([1, "a"], "list[int]", False),
        ({"a": 1}, "dict[str, int | str]", True),
        ({"a": []}, "dict[str, int]", False),
        (object, "Any", True),
        (3, "int | list[int] | None", True),
        ("a", "str", True),
        (1, "bool", False),
    ],
)
def test_fits(value, kind, right):
    assert fits(value, kind) is right
