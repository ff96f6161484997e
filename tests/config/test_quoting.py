"""Values that Hydra's grammar cannot read without quotes."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep

from framework.config.quoting import quote, quoted, unquoted

pytestmark = pytest.mark.hydra  # also with a newer one: make test-hydra

NAMES = [
    "a", "Grüße", "東京", "a=b", "a b", "a:b", "it's", 'a"b', "(x)", "x(1).csv", "a[1]", "C:\\x", "~/x", "a&b;c", "x!y#z", "a\nb", "ü\\",
    "ü\\'x", "'", "\\\\'", "100%",
]  # fmt: skip


def value(word):
    return OverridesParser.create().parse_override(word).value()


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_read_as_it_stands(name):
    if not name.startswith("'"):
        (word,) = quoted([f"data.train={name}"])
        assert value(word) == name and quoted([word]) == [word]
    assert value(f"data.train={quote(name)}") == name == unquoted(quote(name))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[größe.csv,b.csv]", ["größe.csv", "b.csv"]),
        ("[a b.csv, ü c.csv]", ["a b.csv", "ü c.csv"]),
        ("[[ü,a],['b',é]]", [["ü", "a"], ["b", "é"]]),
        ("{path: größe.csv, kind: csv}", {"path": "größe.csv", "kind": "csv"}),
        ("[1,2]", [1, 2]),
        ("true", True),
    ],
)
def test_elements_are_read_as_they_stand(text, expected):
    assert value(*quoted([f"data.train={text}"])) == expected


def test_a_sweep_stays_one():
    for text, expected in (("1,2", [1, 2]), ("größe,b=c,d", ["größe", "b=c", "d"])):
        sweep = value(*quoted([f"name={text}"]))
        assert isinstance(sweep, ChoiceSweep)
        assert [getattr(each, "text", each) for each in sweep.list] == expected


@pytest.mark.parametrize("word", ["a=[b", "a={is: b", "a='b", "a", "~a", "a={b}", "a=[ü"])
def test_what_is_no_value_stays_what_it_is(word):
    assert quoted([word]) == [word]


def test_a_file_that_exists_is_one_value(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a,b.csv", "[a]", "{a: b}"):
        assert value(*quoted([f"data.train={name}"])) != name
        (tmp_path / name).touch()
        assert value(*quoted([f"data.train={name}"])) == name
