"""The commands of docs/data.md read samples of the data that they are for."""

import re
import shlex
from pathlib import Path

import pytest

from framework.config.compose import compose
from framework.workflows.preflight import check_data

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\|.*\| `(task=.*)` \|$", PAGE, re.MULTILINE)
CONLL = "EU NNP B-ORG\nrejects VBZ O\n\n"
SAMPLES = {
    "reviews.csv": "review,stars\nfine,5\n",
    "plain.tsv": "fine\tgood\n",
    "named.csv": "topic,title,body\nWorld,Oil rises,A lot\n",
    "unnamed.csv": "World,Oil rises,A lot\n",
    "pairs.jsonl": '{"premise": "a", "hypothesis": "b", "label": "neutral"}\n',
    "nested.jsonl": '{"translation": {"en": "one", "de": "eins"}}\n',
    "chats.json": '[{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}]',
    "sentences.jsonl": '{"source": ["One.", "Two."], "target": "x"}\n',
    "onehot.csv": "text,toxic,obscene,insult\na,0,1,0\n",
    "train.json": '[{"dialogue": "a", "summary": "b"}]',
    "test.json": '[{"dialogue": "a", "summary1": "b", "summary2": "c"}]',
    "train.conll": CONLL,
    "wikiann.tsv": "en:Paris\tB-LOC\n",
    "spans.jsonl": '{"text": "In Paris", "spans": [{"start": 3, "end": 8, "label": "LOC"}]}\n',
    **{f"{split}.{language}": "one\n" for split in ("train", "dev") for language in ("en", "de")},
    "pairs.tsv": "one\teins\n",
    **{f"reviews/{split}/{label}/1.txt": "fine" for split in ("train", "test") for label in ("neg", "pos")},
    "questions.txt": "NUM:How many?\n",
    "tasks.txt": "IN: jump twice OUT: I_JUMP I_JUMP\n",
    "book.txt": "Once upon a time.\n",
    "part_1.csv": "text,label\na,b\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    for name, text in SAMPLES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_there_are_commands_to_try():
    assert len(COMMANDS) >= 17


@pytest.mark.matrix(0.5, axes=())
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_reads_its_data(command, folder, monkeypatch):
    monkeypatch.chdir(folder)
    config = compose(shlex.split(command)).config
    if "data=hub" not in command:
        check_data(config)


def test_options_in_the_text_compose():
    options = [option for option in re.findall(r"`('?data\.\w+=[^`]+)`", PAGE) if not option.startswith("data.train")]
    assert len(options) >= 7
    compose(["task=classification", "data=files", *(word for option in options for word in shlex.split(option))])


def test_presets_that_are_named_exist():
    named = re.findall(r"`data=(\w+)`", PAGE)
    assert len(named) >= 10
    for name in set(named) - {"files", "hub", "builtin"}:
        assert (Path(__file__).parents[2] / "conf" / "data" / f"{name}.yaml").exists(), name
