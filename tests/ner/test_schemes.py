"""Reading and writing tags, against seqeval and by hand."""

from itertools import product
from random import Random

import pytest
from seqeval.metrics.sequence_labeling import get_entities

from plugins.ner.schemes import Entity, entities, may_follow, parse, tags_of, write

FOUND = [Entity(0, 2, "a"), Entity(2, 3, "a"), Entity(4, 7, "b"), Entity(7, 8, "a")]
WRITTEN = {
    "IOB1": "I-a I-a B-a O I-b I-b I-b I-a",
    "IOB2": "B-a I-a B-a O B-b I-b I-b B-a",
    "IOBES": "B-a E-a S-a O B-b I-b E-b S-a",
    "BILOU": "B-a L-a U-a O B-b I-b L-b U-a",
    "BMEW": "B-a E-a W-a O B-b M-b E-b W-a",
}


def read(text):
    return entities(map(parse, text.split()))


def random_tags(random, letters, length):
    tags = ["O", *(f"{letter}-{type}" for letter in letters for type in ("a", "b-c"))]
    return [random.choice(tags) for _ in range(length)]


@pytest.mark.parametrize("scheme", WRITTEN)
def test_every_scheme_says_the_same(scheme):
    assert read(WRITTEN[scheme]) == FOUND


@pytest.mark.parametrize("scheme", ["IOB2", "IOBES"])
def test_what_is_written_is_what_was_read(scheme):
    assert write(FOUND, 8, scheme.lower()) == WRITTEN[scheme].split()


@pytest.mark.parametrize(
    ("illegal", "repaired"),
    [("O I-a I-a O", "O B-a I-a O"), ("B-a I-b", "B-a B-b"), ("I-a", "B-a"), ("E-a E-a", "B-a B-a"), ("S-a I-a", "B-a B-a")],
)
def test_an_illegal_sequence_is_read_as_conlleval_reads_it(illegal, repaired):
    assert write(read(illegal), len(illegal.split())) == repaired.split()


def test_random_sequences_are_read_as_seqeval_reads_them():
    random = Random(0)
    for _ in range(2000):
        tags = random_tags(random, "BIES", random.randrange(1, 9))
        assert [(type, start, end - 1) for start, end, type in entities(map(parse, tags))] == get_entities(tags), tags


@pytest.mark.parametrize("scheme", ["iob2", "iobes"])
def test_a_sequence_is_legal_if_it_is_what_would_be_written(scheme):
    names = tags_of(["a", "b"], scheme)
    outside = parse("O")
    for tags in product(names, repeat=3):
        parsed = [outside, *map(parse, tags), outside]
        legal = all(may_follow(before, after, scheme) for before, after in zip(parsed, parsed[1:], strict=False))
        assert legal == (write(entities(parsed[1:-1]), 3, scheme) == list(tags)), tags


def test_a_type_has_a_tag_for_each_letter():
    assert tags_of(["x", "y"], "iob2") == ("O", "B-x", "I-x", "B-y", "I-y")
    assert tags_of(["x"], "iobes") == ("O", "B-x", "I-x", "E-x", "S-x")


@pytest.mark.parametrize("tag", ["person", "X-person", "B", "B-", "", "o", "b-person"])
def test_what_is_no_tag_is_refused(tag):
    with pytest.raises(ValueError, match="is no tag: write O, or a letter"):
        parse(tag)
