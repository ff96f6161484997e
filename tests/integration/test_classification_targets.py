"""Multi-label classification, and regression on two texts, from files to metrics and predictions."""

import json
import random

import pytest
from scipy.stats import spearmanr
from sklearn.metrics import f1_score

from framework.__main__ import main as framework_main
from tests.integration.conftest import MODEL, train

WORDS = {"hot": "sun", "cold": "ice", "wet": "rain"}
SMALL = ["task=classification", "data=files", *MODEL, "data.batches.budget=512", "trainer.max_epochs=2", "callbacks.progress.style=off"]


def write(name, rows):
    with open(name, "w") as file:
        file.writelines(f"{json.dumps(row)}\n" for row in rows)


def predictions(run):
    return [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]


def test_several_labels(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    draw = random.Random(0)
    for name, count in (("train", 60), ("dev", 20), ("test", 21)):
        chosen = [draw.sample(sorted(WORDS), k=draw.randint(0, 2)) for _ in range(count)]
        write(f"{name}.jsonl", [{"text": " ".join(["a", *(WORDS[label] for label in labels)]), "tags": labels} for labels in chosen])
    files = ["data.train=train.jsonl", "data.validation=dev.jsonl", "data.test=test.jsonl", "data.columns.label=tags"]
    run = train(*SMALL, "task/target=labels", "task.target.threshold=0.4", *files)
    rows, figures = predictions(run), json.loads((run / "metrics.json").read_text())
    true, told = ([[label in row[name] for label in sorted(WORDS)] for row in rows] for name in ("reference", "prediction"))
    assert [] in [row["reference"] for row in rows]
    assert figures["test/micro_f1"] == pytest.approx(f1_score(true, told, average="micro", zero_division=0))
    assert {"baseline/micro_f1", "validation/subset_accuracy", "test/macro_f1"} <= set(figures)
    assert (run / "report.csv").read_text().startswith("label,precision,recall,f1,rows\ncold,")
    assert json.loads((run / "run.json").read_text())["monitor"] == "validation/micro_f1"
    capsys.readouterr()
    assert framework_main(["predict", str(run), "text=a sun"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert list(answer["scores"]) == sorted(WORDS)
    assert answer["prediction"] == [label for label in sorted(WORDS) if answer["scores"][label] >= 0.4]
    assert framework_main(["predict", str(run), "text=a sun", "task.target.threshold=0.999999"]) == 0
    assert json.loads(capsys.readouterr().out)["prediction"] == []  # an option of a run that is trained counts as well


def test_a_number_for_two_texts(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    draw = random.Random(0)
    for name, count in (("train", 60), ("test", 15)):
        numbers = [(draw.randint(0, 3), draw.randint(0, 3)) for _ in range(count)]
        lines = ["one,other,score", *(f"{'a ' * first}x,{'b ' * second}y,{10 + first - second}" for first, second in numbers)]
        (tmp_path / f"{name}.csv").write_text("\n".join([*lines, ""]))
    (tmp_path / "new.csv").write_text("one,other\na x,y\nx,b y\n")
    files = ["data.train=train.csv", "data.test=test.csv", "data.validation_share=0.2"]
    columns = ["data.columns.text=one", "data.columns.second=other", "data.columns.label=score"]
    run = train(*SMALL, "task/format=pairs", "task/target=number", "model.segments=2", "tokenizer=wordpiece", *files, *columns)
    rows, figures = predictions(run), json.loads((run / "metrics.json").read_text())
    expected = spearmanr([row["reference"] for row in rows], [row["prediction"] for row in rows])[0]
    assert figures["test/spearman"] == pytest.approx(expected) and "baseline/pearson" in figures
    assert " ||| " in rows[0]["input"]
    capsys.readouterr()
    assert framework_main(["predict", str(run), f"file={tmp_path / 'new.csv'}"]) == 0
    answers = [json.loads(line)["prediction"] for line in capsys.readouterr().out.splitlines()]
    assert len(answers) == 2 and all(isinstance(answer, float) for answer in answers)
    assert framework_main(["predict", str(run), f"file={tmp_path / 'test.csv'}"]) == 0  # the run has overlaps of its training rows
    answers = [json.loads(line)["prediction"] for line in capsys.readouterr().out.splitlines()]
    assert answers == pytest.approx([row["prediction"] for row in rows], rel=1e-4)
    assert expected > 0.8  # the lengths of the texts are among them
    assert framework_main(["predict", str(run), "text=a x"]) == 2
    assert "two texts are separated by |||" in capsys.readouterr().err
