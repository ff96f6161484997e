"""Answers to the rows of a file: one for each, in their order, also where nothing can be predicted."""

import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from framework.__main__ import main
from framework.runs.folder import Run
from framework.runs.predictor import Predictor
from tests.export.runs import TASKS, make_run

ROOT = Path(__file__).resolve().parents[2]

DECODING = ["task.decoding.max_new_tokens=4"]
WORDS = {
    "ner": ["task.format.overlap=4"],
    "translation": DECODING,
    "summarization": DECODING,
    "completion": DECODING,
}
TEXTS = ["a good film", "", "so dull", "   ", "odd"]


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answers(capsys, run: Path, file: str, *words: str) -> list[dict]:
    assert main(["predict", str(run), f"file={file}", *words]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["row"] for answer in told] == list(range(len(told)))
    return told


def answered(told: list[dict]) -> list[bool]:
    return [answer["prediction"] is not None for answer in told]


def rounded(value):
    """Without the last digits of numbers, which depend on the other rows of a batch."""
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list) else round(value, 3) if isinstance(value, float) else value


def without_row(answer: dict) -> dict:
    return {name: value for name, value in answer.items() if name != "row"}


def write(folder: Path, name: str, content: str) -> str:
    (folder / name).write_text(content, encoding="utf-8")
    return name


@pytest.mark.parametrize("task", TASKS)
def test_each_line_of_a_text_is_answered_as_if_it_was_typed(here, capsys, task):
    run = make_run(here, task, "data=files", "data.train=unused", *WORDS.get(task, []))
    texts = [text and text.replace("good", "[MASK]") if text.strip() else text for text in TEXTS] if task == "pretraining" else TEXTS
    texts = [text if not text.strip() or task != "pretraining" or "[MASK]" in text else f"{text} [MASK]" for text in texts]
    told = answers(capsys, run, write(here, "asked.txt", "".join(f"{text}\n" for text in texts)))
    assert answered(told) == [True, False, True, False, True]
    assert told[1] == {"row": 1, "prediction": None, "reason": "asked.txt, line 2: the row is blank"}
    typed = [answer for text in texts if text.strip() for answer in Predictor.load(run).predict(text)]
    assert rounded(typed) == rounded([without_row(answer) for answer in told if "reason" not in answer])


FILES = {
    "csv": ("asked.csv", "text,label\na good film,good\n\nso dull,\n,bad\nodd\n\n", [True, False, True, False, True, False]),
    "one column": ("asked.csv", "text\na\n\nb\n", [True, False, True]),
    "tsv": ("asked.tsv", "label\ttext\nx\ta\n\nx\t\nx\n", [True, False, False, False]),
    "json lines": ("asked.jsonl", '{"text": "a"}\n\n{"text": null}\n{"label": "x"}\n{"text": ""}\n', [True, False, False, False, False]),
    "json": ("asked.json", '[{"text": "a"}, {"text": null}, {}]', [True, False, False]),
}


TYPED = {
    "csv": ("asked.csv", "text,id\nAnna goes to Paris,1\n,2\n"),
    "json lines": ("asked.jsonl", '{"text": "Anna goes to Paris"}\n\n'),
}


@pytest.mark.parametrize(("name", "content"), TYPED.values(), ids=TYPED)
def test_a_column_of_texts_is_read_as_typed_where_the_task_has_other_columns(here, capsys, name, content):
    run = make_run(here, "ner", "data=files", "data.train=unused.conll", *WORDS["ner"])
    told = answers(capsys, run, write(here, name, content))
    assert answered(told) == [True, False]
    (typed,) = Predictor.load(run).predict("Anna goes to Paris")
    assert rounded(without_row(told[0])) == rounded(typed)
    assert main(["predict", str(run), f"file={write(here, 'other.csv', 'body,id')}"]) == 2
    assert "'tokens'" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "content", "expected"), FILES.values(), ids=FILES)
def test_blank_rows_of_tables_are_answered(here, capsys, name, content, expected):
    run = make_run(here, "classification", "data=files", "data.train=unused.csv")
    told = answers(capsys, run, write(here, name, content))
    assert answered(told) == expected
    assert all(f"{name}, " in answer["reason"] and answer["reason"].endswith("the row is blank") for answer in told if "reason" in answer)


def test_blank_rows_of_parquet_are_answered(here, capsys):
    parquet = pytest.importorskip("pyarrow.parquet")
    pyarrow = pytest.importorskip("pyarrow")
    parquet.write_table(pyarrow.table({"text": ["a", None, "b"]}), here / "asked.parquet")
    assert answered(answers(capsys, make_run(here, "classification"), "asked.parquet")) == [True, False, True]


def test_blank_lines_before_the_first_row_of_a_table_without_a_header(here, capsys):
    run = make_run(here, "classification", "data=files", "data.train=unused.csv", "data.columns.text=0", "data.columns.label=1")
    assert answered(answers(capsys, run, write(here, "asked.csv", "\n\na,x\n\nb,y\n"))) == [False, False, True, False, True]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["data.train=train.conll"], "asked.txt"),
        (["data.train=train.tsv", "data.kind=conll", "data.columns.tokens=0", "data.columns.tags=-1"], "asked.txt"),
        (["data.train={path: train.tsv, kind: conll}", "data.kind=conll"], "asked.txt.gz"),
    ],
)
def test_a_run_of_token_lists_answers_raw_texts(here, capsys, words, name):

    run = make_run(here, "ner", "data=files", *words, *WORDS["ner"])
    content = b"Ada met Bob.\n\nin Paris\n"
    (here / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    told = answers(capsys, run, name)
    assert [answer.get("input") for answer in told] == ["Ada met Bob.", None, "in Paris"]
    assert told[0]["tokens"] == ["Ada", "met", "Bob", "."]


@pytest.mark.parametrize(("name", "words"), [("asked.tsv", []), ("asked.txt", ["data.kind=conll"])])
def test_files_of_the_kind_of_the_run_have_tokens(here, capsys, name, words):
    run = make_run(here, "ner", "data=files", "data.train=train.tsv", "data.kind=conll", *WORDS["ner"])
    told = answers(capsys, run, write(here, name, "Ada\nmet\n\nBob\n"), *words)
    assert [answer["tokens"] for answer in told] == [["Ada", "met"], ["Bob"]]


def test_a_row_that_is_refused_is_answered_with_the_reason(here, capsys):
    run = make_run(here, "classification", "task/format=pairs", "tokenizer=bytes", "model.segments=2")
    name = write(here, "asked.txt", "one ||| other\nalone\n\ntwo ||| more\n")
    assert main(["predict", str(run), f"file={name}"]) == 0
    out, err = capsys.readouterr()
    told = [json.loads(line) for line in out.splitlines()]
    assert answered(told) == [True, False, False, True]
    assert "alone" in told[1]["reason"] and "blank" in told[2]["reason"]
    assert "2 of 4 rows have no prediction" in err


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("asked.csv", "txet,label\na,b\n", "did you mean 'txet'?"),
        ("asked.jsonl", '{"label": "x"}\n', "there is no column 'text'"),
        ("asked.jsonl", '{"text": 5}\n{"text": 6}\n', "asked.jsonl, line 1"),
        ("asked.txt", "", "asked.txt is empty"),
        ("asked.csv", "text,label\n", "asked.csv has no rows"),
    ],
    ids=["no column", "no key", "no row can be encoded", "empty", "no rows"],
)
def test_a_file_without_anything_to_predict_is_refused(here, capsys, name, content, said):
    run = make_run(here, "classification", "data=files", "data.train=unused.csv")
    assert main(["predict", str(run), f"file={write(here, name, content)}"]) == 2
    assert said in capsys.readouterr().err


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return make_run(tmp_path_factory.mktemp("run"), "classification", "data=files", "data.train=unused.csv")


def piped(monkeypatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_standard_input(here, run, capsys, monkeypatch):
    name = write(here, "asked.txt", "a good film\n\nso dull\r\n")
    expected = [without_row(answer) | {"reason": ""} for answer in answers(capsys, run, name)]
    piped(monkeypatch, b"\xef\xbb\xbfa good film\n\nso dull\r\n")
    told = answers(capsys, run, "-")
    assert told[1]["reason"] == "standard input, line 2: the row is blank"
    assert [without_row(answer) | {"reason": ""} for answer in told] == expected
    piped(monkeypatch, b'{"text": "a good film"}\n{"text": ""}\n')
    told = answers(capsys, run, "-", "kind=jsonl")
    assert told[0]["prediction"] == expected[0]["prediction"] and told[1]["reason"].startswith("standard input, line 2")
    piped(monkeypatch, b"a\n")
    assert main(["predict", str(run), "file=-", "kind=jason"]) == 2 and "kind=jason" in capsys.readouterr().err
    piped(monkeypatch, b"gr\xfcn\n")
    assert main(["predict", str(run), "file=-"]) == 2 and "standard input, line 1" in capsys.readouterr().err
    piped(monkeypatch, b"gr\xfcn\n")
    assert len(answers(capsys, run, "-", "data.encoding=latin-1")) == 1


def test_answers_come_while_rows_are_read(run):
    predictor, read = Predictor.load(run), []

    def rows():
        for number, text in enumerate(["", "a", "so dull", "", "", "b"]):
            read.append(number)
            yield text, f"line {number}"

    stream = predictor.stream(rows(), window=2)
    assert [next(stream)["prediction"] is None for _ in range(2)] == [True, False] and read == [0, 1]
    rest = list(stream)
    assert [answer["prediction"] is None for answer in rest] == [False, True, True, False]
    assert rest[2]["reason"] == "line 4: the row is blank"


def test_nothing_is_overwritten_by_mistake(here, run, capsys):
    name = write(here, "asked.txt", "a good film\nso dull\n")
    (here / "link.txt").symlink_to(name)
    told = answers(capsys, run, name)
    ask = ["predict", str(run), f"file={name}"]
    for words in (["to=asked.txt"], ["to=asked.txt", "overwrite=true"], ["to=link.txt", "overwrite=true"], ["to=."], ["to="]):
        assert main([*ask, *words]) == 2
        assert words[0] in capsys.readouterr().err
    assert (here / name).read_text() == "a good film\nso dull\n"
    assert main([*ask, "to=new/answers.jsonl"]) == 0
    path = here / "new/answers.jsonl"
    assert [json.loads(line) for line in path.read_text().splitlines()] == told
    path.write_text("mine")
    assert main([*ask, "to=new/answers.jsonl"]) == 2
    assert "to=new/answers.jsonl" in capsys.readouterr().err and path.read_text() == "mine"
    assert main([*ask, "to=new/answers.jsonl", "overwrite=true"]) == 0 and len(path.read_text().splitlines()) == 2
    assert main(["predict", str(run), "file=gone.txt", "to=other.jsonl"]) == 2 and not (here / "other.jsonl").exists()


def test_a_device_that_is_not_there(run, capsys):
    for name in ("cuda:99", "gpu", "meta:x"):
        assert main(["predict", str(run), "text=a", f"device={name}"]) == 2
        assert f"device={name}" in capsys.readouterr().err
    assert main(["predict", str(run), "text=a", "device=cpu"]) == 0


def test_a_run_folder_with_an_equals_sign(here, run, capsys):
    (here / "lr=0.1, größe [1] 'x'").symlink_to(run)
    assert main(["predict", "lr=0.1, größe [1] 'x'", "text=a"]) == 0
    assert main(["predict", "lr=0.2", "text=a"]) == 2 and "needs a run folder" in capsys.readouterr().err


def test_what_a_killed_run_has_is_used_with_a_word(here, capsys):
    run = Run.open(make_run(here, "classification"))
    run.save_notes({**run.notes(), "state": "running", "host": "a1"})
    assert main(["predict", str(run.folder), "text=a"]) == 0
    assert "was killed on a1" in capsys.readouterr().err
    run.best.unlink()
    assert main(["predict", str(run.folder), "text=a"]) == 2
    assert "was killed on a1" in capsys.readouterr().err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_answers_that_cannot_be_written(here, run, capsys):
    name = write(here, "asked.txt", "a good film\n")
    assert main(["predict", str(run), f"file={name}", "to=/dev/full"]) == 2
    assert "/dev/full" in capsys.readouterr().err


def test_an_answer_needs_neither_lightning_nor_torchmetrics_nor_the_compiler(tmp_path):
    """Importing them takes longer than the answer."""
    options = {"classification": [], "completion": ["task.ngrams=2", "task.ngram_buckets=64"], "translation": []}
    folders = [str(make_run(tmp_path, task, *words)) for task, words in options.items()]
    heavy = ["pytorch_lightning", "torchmetrics", "torch._dynamo", "sympy", "wandb", "datasets"]
    program = f"""\
import sys
from framework.__main__ import main

for folder in sys.argv[1:]:
    code = main(["predict", folder, "text=a good film"])
    print("heavy:", code, *[name for name in {heavy!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program, *folders], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [line for line in done.stdout.splitlines() if line.startswith("heavy:")] == ["heavy: 0"] * len(folders), (
        done.stdout + done.stderr
    )
