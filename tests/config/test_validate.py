"""Types of config values, as the catalogue writes them."""

import pytest

from framework.config.validate import NAME_BYTES, _top_value, fits


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


@pytest.mark.parametrize(
    "name", ["a", "Grüße", "東京 2", "a=b, 'c' [d]", "-x", "...x", "n" * NAME_BYTES, "ü" * (NAME_BYTES // 2), "👩‍👩‍👧"]
)
def test_names_of_runs(name):
    assert [*_top_value("name", name)] == []


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "/x",
        "a/b",
        "a\\b",
        ".",
        "..",
        " ",
        "a\nb",
        "a\x00",
        "\x1b[0m",
        "\udc80",
        "n" * (NAME_BYTES + 1),
        "ü" * (NAME_BYTES // 2 + 1),
    ],
)
def test_what_is_no_name_of_a_run(name):
    assert len([*_top_value("name", name)]) == 1
