"""docs/extend.md, followed as it stands in an empty folder, and docs/glossary.md, which has the words of the pages."""

import re
import shlex
from pathlib import Path

import pytest

from framework import testing
from framework.__main__ import main
from framework.cli.scaffold.texts import KINDS
from framework.config import catalogue
from tests import forks
from tests.scaffold.contracts import share_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extend.md").read_text(encoding="utf-8")
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
COMMANDS = [shlex.split(line) for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL) for line in block.splitlines()]


def test_every_kind_has_a_section_with_its_command_and_its_suite():
    sections = re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]
    named = {kind: section for section in sections for kind in section.splitlines()[0].split(", ")}
    assert set(named) == set(KINDS)
    for kind, section in named.items():
        assert f"python -m framework new {kind} my_{kind}\n" in section
        suites = re.findall(r"`(\w+Promises)`", section)
        assert suites and all(hasattr(testing, suite) for suite in suites), kind
    for file in re.findall(r"\]\((\w+\.md)\)", PAGE):
        assert (ROOT / "docs" / file).is_file()


def test_the_glossary_is_a_table_in_order():
    rows = [line.strip("|").split("|") for line in GLOSSARY.splitlines() if line.startswith("| ")][2:]
    words = [row[0].strip() for row in rows]
    assert all(len(row) == 3 and row[2].strip() for row in rows) and words == sorted(words, key=str.lower)
    newcomers = (
        "part slot kind preset recipe data,spec layout mask row runs/last baseline promise budget option trait node rule override".split()
    )
    assert not {word.replace(",", " ") for word in newcomers} - set(words)


@pytest.mark.slow
def test_the_page_runs(tmp_path, monkeypatch, pytestconfig):
    catalogue.load()
    monkeypatch.chdir(tmp_path)
    typed = [command for command in COMMANDS if "new" not in command]
    (text,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (python,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    said = f"{typed} {text} {python}"
    for command in COMMANDS:  # those that nothing on the page uses are made in test_every_kind.py
        if "new" in command and command[-1] in said:
            assert main(command[3:]) == 0
    experiment = tmp_path / "my_conf" / "experiment" / "mine.yaml"
    experiment.parent.mkdir(parents=True)
    experiment.write_text(text)
    (tmp_path / "page.py").write_text(python)
    program = f"""\
import runpy
from framework.__main__ import main
from plugins.classification import linear
from tests.scaffold.contracts import tested

linear.ITERATIONS = 2  # of the baseline, which takes most of the time of a run
for command in {typed!r}:
    _, _, module, *words = command
    code = tested(words, {share_of(pytestconfig)}) if module == "pytest" else main(words)
    print(f"{{command}} ended with {{int(code)}}", flush=True)
runpy.run_path("page.py")
print("python ended")
"""
    _, out, said = forks.python(program, tmp_path)
    for command in typed:
        assert f"{command} ended with 0" in out, f"{command}\n{out[-4000:]}\n{said[-3000:]}"
    assert "python ended" in out, said[-3000:]
