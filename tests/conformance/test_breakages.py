"""The breakages of tests/sabotage.py are of the sources and tests that there are: it runs by hand, and would go out of date unnoticed."""

import re
from pathlib import Path

import pytest

from tests.sabotage import BREAKAGES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", BREAKAGES)
def test_a_breakage_is_one_line_of_the_source_and_names_a_test(name):
    breakage = BREAKAGES[name]
    assert (ROOT / breakage.file).read_text(encoding="utf-8").count(breakage.old) == 1
    for test in breakage.tests:
        file, _, function = test.partition("::")
        assert not function or re.search(rf"^def {function}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), test
