"""Files of all formats with damage of all kinds: what is accepted is what was written, and every refusal names file, place and remedy."""

import random
import re
from collections import Counter
from functools import cache

import pytest

from framework.data.sources.base import error_context
from framework.data.sources.files import FilesData
from framework.errors import UserError
from framework.registry import Part
from plugins.classification.data import ClassificationFormat
from plugins.completion.data import CompletionFormat
from plugins.ner.data import NerFormat
from plugins.ner.schemes import write
from plugins.translation.data import TranslationFormat
from tests.data.damage import cases

DRAWN = 60  # files, of the cases of several seeds
REMEDY = re.compile(
    r"data\.\w+|task/\w+|task\.\w+|write |remove|repair|download|unpack|save it|quote|rename|move its|must (be|have)|tr '|"
    r"one array|one object|set |extract|export|copy|each (line|row)|cannot be read: |does not exist"
)


def format_of(task):
    if task in ("classification", "labels"):
        return ClassificationFormat(target=Part("target/label" if task == "classification" else "target/labels"))
    return {"ner": NerFormat, "translation": TranslationFormat, "completion": CompletionFormat}[task]()


def values(format, row):
    """The texts and the target of a row, as the task gets them."""
    if isinstance(format, NerFormat):
        parsed = format.parse(row)
        write(parsed.entities, len(parsed.words))
        return list(row["tokens"]), [tag.strip() for tag in row["tags"]]
    texts = tuple(format.tokenizer_texts(row))
    return (*texts, format.target.value(row)) if isinstance(format, ClassificationFormat) else texts


def read(case, folder):
    """The rows of a case, as the task reads them. UserError: it is refused."""
    case.write(folder)
    format = format_of(case.task)
    train = case.train or next(iter(case.files))
    source = FilesData(format, 0, folder=str(folder), train=train, validation_share=0, batches=Part("batches/rows"), **case.options)
    source.check()
    found = []
    for row, where in source.rows("train"):
        with error_context(where):
            found.append((where, values(format, row)))
    if isinstance(format, ClassificationFormat):
        with error_context(str(folder / str(train))):
            format.fit(row for row, _ in source.rows("train"))
    return [value for _, value in (sorted(found, key=lambda each: each[1]) if case.train == "d" else found)]


def verdict(case, folder):
    """`kept`, `refused`, or what is broken."""
    try:
        found = read(case, folder)
    except UserError as error:
        message = str(error)
        if case.rows is not None and not case.may_refuse:
            return f"{case.name}: refused: {message}"
        place = str(folder) in message
        return (
            "refused"
            if place and REMEDY.search(message) and len(message.splitlines()) <= 6
            else f"{case.name}: no place or remedy: {message}"
        )
    except Exception as error:
        return f"{case.name}: a traceback: {type(error).__name__}: {str(error)[:200]}"
    if case.rows is None:
        return f"{case.name}: accepted: {found[:3]}"
    meant = [tuple(row) for row in case.rows]
    return "kept" if [tuple(row) for row in found] == meant else f"{case.name}: read as {found[:3]}, not {meant[:3]}"


@cache
def drawn():
    """Cases of several seeds."""
    pool = [case for seed in range(3) for case in cases(seed)]
    return random.Random(10).sample(pool, DRAWN)


@pytest.mark.parametrize("number", range(DRAWN))
def test_files_drawn_from_the_generator(number, tmp_path):
    assert verdict(drawn()[number], tmp_path) in ("kept", "refused")


@pytest.mark.parametrize("seed", [*range(5), *(pytest.param(seed, marks=pytest.mark.whole) for seed in range(5, 100))])
def test_every_case(seed, tmp_path):
    found = Counter()
    for number, case in enumerate(cases(seed)):
        folder = tmp_path / str(number)
        folder.mkdir()
        found[verdict(case, folder)] += 1
    assert set(found) == {"kept", "refused"}
    assert found["kept"] > 60 and found["refused"] > 120
