"""The command explain on runs of every task: what is printed, what is written, refusals."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from framework import UserError, load
from framework.explaining.explanation import explained, shared
from framework.workflows.explain import explain
from tests.export.runs import TASKS, make_run

ROOT = Path(__file__).parents[2]
ONE, TWO = "the apple of the keynote", "an apple in the orchard"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("run"), "classification")


@pytest.fixture(scope="module")
def pair(run):
    predictor = load(run)
    return explained(predictor, ONE), explained(predictor, TWO)


@pytest.mark.parametrize("task", TASKS)
def test_every_task(tmp_path, task):
    folder = make_run(tmp_path, task)
    text = explain(folder, [f"text={ONE}", f"to={tmp_path / 'x.json'}"])
    (found,) = json.loads((tmp_path / "x.json").read_text())["texts"]
    cross = task in ("translation", "summarization")
    stacks = {(each["stack"], each["attention"]) for each in found["attention"]}
    family = {"completion": "decoder"}.get(task, "encoder")
    assert stacks == ({("encoder", "self"), ("decoder", "self"), ("decoder", "cross")} if cross else {(family, "self")})
    for each in found["attention"]:
        weights = np.array(each["weights"])  # (H, T, S)
        assert weights.shape == (4, len(found["tokens"][each["stack"]]), len(found["tokens"][each["keys of"]]))
        np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-5)
        if each["stack"] == "decoder" and each["attention"] == "self":
            assert np.triu(weights, 1).max() == 0
    assert [word["word"] for word in found["words"]][:2] == ["the", "apple"]
    assert f"{family} self" in text and "layer 2 of 2" in text


def test_the_target_is_what_the_decoder_reads(tmp_path):
    folder = make_run(tmp_path, "translation")
    explain(folder, ["text=one", "target=zwei", f"to={tmp_path / 'x.json'}"])
    (found,) = json.loads((tmp_path / "x.json").read_text())["texts"]
    assert "".join(found["tokens"]["decoder"]).endswith("zwei") and "".join(found["tokens"]["encoder"]).startswith("one")


def test_words_that_two_texts_have_in_common(pair):
    one, other = pair
    found = {each.text: each for each in shared(one, other)}
    assert list(found) == ["the", "apple"]
    assert found["apple"].places == (1, 1) and found["the"].places == (0, 3)
    for each in found.values():
        for number, (text, place) in enumerate(zip((one, other), each.places, strict=True)):
            word = text.words["encoder"][place]
            vector = text.recording.vectors["encoder"][:, list(word.tokens)].mean(axis=1)
            if number == 0:
                first = vector
        expected = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(first, vector, strict=True)]
        np.testing.assert_allclose(each.similarity, expected, atol=1e-9)
        for near in each.nearest:
            assert len(near) == 3 and each.text not in dict(near) and [score for _, score in near] == sorted(dict(near).values())[::-1]


def test_files(run, tmp_path, pair):
    names = [tmp_path / f"x.{ending}" for ending in ("csv", "json", "html", "png")]
    said = explain(run, [f"text={ONE}", f"text2={TWO}", "layer=1", "head=2", *(f"to={name}" for name in names)])
    assert "layer 1 of 2, head 2" in said and "orchard" in said
    rows = list(csv.DictReader(names[0].read_text().splitlines()))
    one = pair[0].attention[1]
    (row,) = [r for r in rows if (r["text"], r["layer"], r["head"], r["query"], r["key"]) == ("1", "2", "3", "4", "5")]
    assert float(row["weight"]) == pytest.approx(float(one.weights[2, 3, 4]), rel=1e-6)
    assert len(rows) == sum(each.weights.size for text in pair for each in text.attention)
    assert [each["word"] for each in json.loads(names[1].read_text())["common words"]] == ["the", "apple"]
    page = names[2].read_text()
    assert page.count("<svg") == 5 and "http:" not in page.replace("http://www.w3.org", "") and "<script" not in page
    pictures = sorted(path.name for path in tmp_path.glob("x_*.png"))
    assert len(pictures) == 5 and "x_words.png" in pictures
    for picture in pictures:
        with Image.open(tmp_path / picture) as image:
            assert min(image.size) > 100 and len(image.getcolors(1 << 24)) > 10


def test_a_model_without_scores_says_so_and_shows_its_vectors(tmp_path):
    folder = make_run(tmp_path, "classification", "model/attention=linear", "model/position=learned")
    text = explain(folder, [f"text={ONE}", f"to={tmp_path / 'x.html'}"])
    (line,) = [line for line in text.splitlines() if line.startswith("attention/linear")]
    assert "no weights" in line and "cosine" in text
    assert (tmp_path / "x.html").read_text().count("<svg") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "text="),
        (["text="], "text="),
        (["txt=x"], "txt=x.*did you mean 'text'"),
        (["text=x", "layer=0"], "layer=0"),
        (["text=x", "layer=9"], "layer=9.*layers 1 to 2"),
        (["text=x", "head=9"], "head=9.*heads 1 to 4"),
        (["text=x", "to=x.txt"], "to=x.txt"),
        (["text=x", f"to={ROOT}/README.md/x.json"], "README.md/x.json cannot be written"),
        (["text=x", "target=y"], "target="),
    ],
)
def test_refusals(run, words, said):
    with pytest.raises(UserError, match=said):
        explain(run, words)


def test_pictures_without_matplotlib(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match="plugformer\\[pictures\\]"):
        explain(run, ["text=x", f"to={tmp_path / 'x.html'}"])
    assert "layer 2 of 2" in explain(run, ["text=x", f"to={tmp_path / 'x.csv'}"])


def test_the_command(run, tmp_path):
    command = [sys.executable, "-m", "framework", "explain", str(run), f"text={ONE}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**__import__("os").environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0 and "prediction" in done.stdout and "\\u2588" not in done.stdout, done.stderr
