"""docs/write_a_task.md and docs/write_a_part.md, followed as they stand: their code is written where they say, their commands are run."""

import json
import re
import shlex
from pathlib import Path

import pytest

from framework.__main__ import main
from framework.config import catalogue
from tests import forks
from tests.scaffold.contracts import share_of

ROOT = Path(__file__).parents[2]
PAGES = {name: (ROOT / "docs" / f"write_a_{name}.md").read_text(encoding="utf-8") for name in ("task", "part")}

pytestmark = pytest.mark.slow


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGES[page], re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[list[str]]:
    return [shlex.split(line) for block in blocks(page, "sh") for line in block.splitlines()]


def lines(page: str) -> list[str]:
    return [line for block in blocks(page, "python") for line in block.splitlines() if line.strip()]


def test_a_task_is_fifty_lines_and_a_part_thirty():
    assert len(lines("task")) <= 50
    assert len([line for line in blocks("part", "python")[0].splitlines() if line.strip()]) <= 30
    assert max(map(len, (*lines("task"), *lines("part")))) <= 150


@pytest.fixture(scope="module")
def followed(tmp_path_factory, pytestconfig) -> tuple[Path, str]:
    """Both pages in one folder: first what they write, then, in one process, what they run. The folder, and what is printed."""
    folder = tmp_path_factory.mktemp("pages")
    catalogue.load()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for page in PAGES:
            assert main(commands(page)[0][3:]) == 0
    for command in commands("task"):
        if command[0] == "rm":
            (folder / command[1]).unlink()
    (folder / "plugins/answering/task.py").write_text("\n\n".join(blocks("task", "python")))
    names = ("attention.py", "test_capped.py", "feed_forward.py", "test_feed_forward.py")
    for name, block in zip(names, blocks("part", "python"), strict=True):
        (folder / "plugins/capped" / name).write_text(block)
    (folder / "plugins/capped/conf/attention/capped_sharp.yaml").write_text(blocks("part", "yaml")[0])
    typed = [command for page in PAGES for command in commands(page) if command[0] == "python" and "new" not in command]
    typed.append("python -m framework list attention".split())
    program = f"""\
from framework.__main__ import main
from tests.scaffold.contracts import tested

for command in {typed!r}:
    _, _, module, *words = command
    code = tested(words, {share_of(pytestconfig)}) if module == "pytest" else main(words)
    print(f"{{command}} ended with {{int(code)}}", flush=True)
"""
    code, out, said = forks.python(program, folder)
    assert code == 0, out[-2000:] + said[-2000:]
    for command in typed:
        assert f"{command} ended with 0" in out, f"{command}\n{out[-4000:]}\n{said[-2000:]}"
    return folder, out


def test_the_task_finds_its_answers(followed):
    folder, said = followed
    (run,) = (folder / "runs" / "answering").iterdir()
    figures = json.loads((run / "metrics.json").read_text())
    assert figures["test/f1"] > 0.9 and figures["test/exact_match"] > 0.9
    assert '"prediction": "Oslo"' in said


def test_plugins_of_a_folder_are_found_by_whoever_stands_there(followed):
    """The menu says where they come from."""
    assert re.search(r"^  capped .*\[plugins/capped here\]$", followed[1], re.MULTILINE)


def test_the_part_is_described_and_trains(followed):
    folder, said = followed
    assert "cap: float = 50.0  bound of the scores." in said
    assert len(list((folder / "runs" / "translation").iterdir())) == 1
