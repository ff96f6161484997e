"""The built-in rows: names in Python source, the same every time; and the baseline that stands beside the model."""

import os
import subprocess
import sys
from pathlib import Path
from zlib import crc32

import pytest

from plugins.ner import builtin
from plugins.ner.baseline import predicted
from plugins.ner.builtin import rows, rows_of
from plugins.ner.data import NerFormat
from plugins.ner.metrics import SpanF1
from plugins.ner.schemes import entities, parse
from plugins.ner.sentences import sentence

ROOT = Path(__file__).parents[2]
TYPES = ["attribute", "class", "function", "module", "parameter"]


@pytest.fixture(scope="module")
def splits():
    return {split: list(rows(split)) for split in ("train", "validation", "test")}


@pytest.fixture
def tagged(tmp_path):
    """Source -> 'token/type' for every row, entities in brackets."""

    def tag(source):
        path = tmp_path / "sample.py"
        path.write_text(source, encoding="utf-8")
        return [bracketed(tokens, tags) for tokens, tags in rows_of(path)]

    return tag


def bracketed(tokens, tags):
    words = list(tokens)
    for start, end, type in entities(map(parse, tags)):
        words[start] = f"<{type[0]} {words[start]}"
        words[end - 1] += ">"
    return " ".join(words)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import os, email.mime.text as text; x = 1", "import <m os> , <m email . mime . text> as <m text> ; x = 1"),
        ("from ..a.b import c, Klass as K, d, e, f, g", "from . . <m a . b> import c , <c Klass> as K , d , e , f , g"),
        (
            "def f(x, *y, z=0): return x.a + y[0] + z + w",
            "def <f f> ( <p x> , * <p y> , <p z> = 0 ) : return <a x . a> + <p y> [ 0 ] + <p z> + w",
        ),
        ("async def f(n): await n.go(key=n)(1)", "async def <f f> ( <p n> ) : await <f n . go> ( <p key> = <p n> ) ( 1 )"),
        ("class A(b.C, D, metaclass=M): x = y.z", "class <c A> ( <c b . C> , <c D> , <p metaclass> = M ) : x = <a y . z>"),
        (
            "try: go()\nexcept (a.error, E) as e: raise ValueError(e)",
            "try : <f go> ( ) except ( <c a . error> , <c E> ) as e : raise <c ValueError> ( e )",
        ),
        (
            "x = f(a).b.c + d[0].e() + int(g) + Path(h)",
            "x = <f f> ( a ) . <a b . c> + d [ 0 ] . <f e> ( ) + <c int> ( g ) + <c Path> ( h )",
        ),
        (
            "@functools.wraps(f)\ndef g(): return lambda a: a + h",
            "@ <f functools . wraps> ( f ) def <f g> ( ) : return lambda <p a> : <p a> + h",
        ),
        ("é = {'ß': go.there, 'ü': 'y', 'ä': 1}\nx = f'{x.y}', rf'{y}'", "é = { 'ß' : <a go . there> , 'ü' : 'y' , 'ä' : 1 }"),
    ],
)
def test_what_names_name(tagged, source, expected):
    assert tagged(source + "\n") == [expected]


def test_a_row_is_the_beginning_of_a_function_or_lines_outside_all(tagged):
    long = "".join(f"    x{number} = {number} + 1\n" for number in range(40))
    source = f'a = 1 + 2 + 3 + 4 + 5\ndef f(x):\n    """Says much, and nothing about the names around it."""\n{long}b = 1 + 2 + 3 + 4 + 5\n'
    first, function, last = tagged(source)
    assert first == "a = 1 + 2 + 3 + 4 + 5" and last == first.replace("a", "b", 1)
    assert function.startswith("def <f f> ( <p x> ) : x0 = 0 + 1 x1")
    assert builtin.LONGEST - 5 < len(function.replace("<f ", "").replace("<p ", "").split()) <= builtin.LONGEST


def test_a_file_that_is_no_python_has_no_rows(tmp_path):
    (tmp_path / "broken.py").write_text("def f(:\n")
    assert list(rows_of(tmp_path / "broken.py")) == []


def test_another_process_finds_the_same_rows_and_needs_no_torch(splits):
    program = "import sys, zlib; from plugins.ner.builtin import rows\n"
    program += "print(zlib.crc32(repr(list(rows('test'))).encode()), 'torch' in sys.modules)"
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    other = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    assert other.split() == [str(crc32(repr(splits["test"]).encode())), "False"]


def test_no_row_occurs_twice_within_or_across_splits(splits):
    texts = [tuple(row["tokens"]) for found in splits.values() for row in found]
    assert {split: len(found) for split, found in splits.items()} == builtin.ROWS
    assert len(set(texts)) > 0.99 * len(texts)  # the same tokens may mean different things


def test_every_type_is_there_and_some_entities_are_long(splits):
    for found in splits.values():
        named = [entity for row in found for entity in sentence(row).entities]
        assert {entity.type for entity in named} == {"attribute", "class", "function", "module", "parameter"}
        assert 0.15 < sum(entity.end - entity.start > 1 for entity in named) / len(named) < 0.5


def test_the_rows_do_not_depend_on_the_seed(splits):
    assert list(NerFormat().builtin("test", 0)) == list(NerFormat().builtin("test", 1)) == splits["test"]


def figures(train, test, types):
    rows, metric = list(predicted(train, test, types)), SpanF1(types)
    metric.update([row["predicted_tags"] for row in rows], [row["reference_tags"] for row in rows])
    return {name: float(value) for name, value in metric.compute().items()}


def test_the_baseline_hurts_and_can_be_beaten(splits):
    found = figures(map(sentence, splits["train"][:100]), map(sentence, splits["test"][:100]), TYPES)
    assert 0.6 < found["f1"] < 0.95


def test_the_baseline_of_its_own_rows_is_right_where_words_have_one_meaning():
    row = sentence({"tokens": ["a", "b", "c"], "tags": ["B-x", "I-x", "O"]})
    assert figures([row], [row], ["x"])["f1"] == 1.0
