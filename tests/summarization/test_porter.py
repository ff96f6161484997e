"""The stemmer is NLTK's, which rouge_score uses."""

import re
from pathlib import Path
from random import Random

from nltk.stem.porter import PorterStemmer

from framework.metrics.porter import IRREGULAR, STEP_2, STEP_3, STEP_4, stem

ENDINGS = [ending for step in (STEP_2, STEP_3, STEP_4) for ending, _ in step]
ENDINGS += "y ly s es ies ied eed ed ing sses ss e ll lle logi logy ion sion tion fulli fully alli ally".split()


def made_words(count: int) -> set[str]:
    """Every ending behind short stems of all shapes."""
    random = Random(0)
    stems = ("".join(random.choices("aeiouybcdlstzxw1", k=random.randrange(6))) for _ in range(count))
    return {stem + random.choice(ENDINGS) + random.choice(["", "", "s", "ly", "ed"]) for stem in stems}


def test_equal_to_nltks_on_words_of_a_kind_and_on_any() -> None:
    read = {word for path in Path(__file__).parents[2].rglob("*.md") for word in re.findall(r"[a-z0-9]+", path.read_text("utf-8").lower())}
    words = {*IRREGULAR, *made_words(30_000), *(word for word in read if len(word) < 40), *"yyyy a at by sky ties".split()}
    reference = PorterStemmer()
    assert len(words) > 20_000
    assert {word: stem(word) for word in words} == {word: reference.stem(word) for word in words}


def test_what_belongs_together() -> None:
    assert {stem(word) for word in ("summary", "summaries")} == {"summari"}
    assert {stem(word) for word in ("connect", "connected", "connecting", "connection", "connections")} == {"connect"}
