"""Calibration: the error against torchmetrics, the temperature against scipy, and what a calibrated run predicts and exports."""

import json
import math
from itertools import product
from random import Random

import pytest
import torch
from scipy.optimize import minimize_scalar
from torch.nn.functional import cross_entropy
from torchmetrics.classification import BinaryCalibrationError

from framework import CalibrationError, Predictor, Run
from framework.__main__ import main
from framework.cli.train import main as train_main
from framework.errors import UserError
from framework.training.calibration import TEMPERATURES, lowest
from plugins.ner.heads import CrfTagHead, SoftmaxTagHead
from tests.classification.test_task import make_batch, make_task
from tests.integration.conftest import CLASSIFICATION, refused, train, write_data
from tests.ner import test_task as ner


def error_of(*pieces):
    metric = CalibrationError()
    for probabilities, occurred in pieces:
        metric.update(probabilities, occurred)
    return metric.compute().item()


def test_the_error_is_torchmetrics_and_the_same_in_any_pieces():
    draw = Random(0)
    given = [[draw.random() for _ in range(draw.randint(0, 3))] for _ in range(200)]
    given[0] = [0.0, 1.0, 1 / 15, 2 / 15, 0.5]
    occurred = [[draw.random() < value for value in row] for row in given]
    flat = [torch.tensor([value for row in rows for value in row], dtype=torch.float64) for rows in (given, occurred)]
    reference = BinaryCalibrationError(n_bins=15, norm="l1").set_dtype(torch.float64)
    assert error_of((given, occurred)) == pytest.approx(reference(flat[0], flat[1].long()).item(), abs=1e-6)
    assert error_of((given, occurred)) == error_of((given[70:], occurred[70:]), ([], []), (given[:70], occurred[:70]))
    assert math.isnan(error_of())


@pytest.mark.parametrize("scale", [0.3, 1.0, 5.0])
def test_the_lowest_temperature_is_that_of_a_search(scale):
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(800, 4, generator=random, dtype=torch.float64) * 2
    targets = torch.distributions.Categorical(logits=logits).sample()

    def loss(temperature):
        return cross_entropy(scale * logits / temperature, targets, reduction="sum").item()

    found = lowest(torch.tensor([loss(each) for each in TEMPERATURES], dtype=torch.float64))
    assert found == pytest.approx(minimize_scalar(loss, bounds=(0.05, 20), method="bounded").x, rel=0.02)


def test_the_lowest_temperature_of_losses_that_have_no_lowest_point():
    count = len(TEMPERATURES)
    assert lowest(torch.arange(float(count))) <= TEMPERATURES[1] and lowest(-torch.arange(float(count))) >= TEMPERATURES[-2]
    assert lowest(torch.zeros(count)) > 0
    with pytest.raises(UserError, match="task.calibrate=false"):
        lowest(torch.full((count,), math.inf))


def test_losses_of_classification_do_without_the_weights_of_classes():
    task, batch = make_task(), make_batch()
    result = task(batch)
    expected = [cross_entropy(result.output.logits / each, batch["label"], reduction="sum").item() for each in (0.5, 1.0, 3.0)]
    assert task.losses_at(result, batch, (0.5, 1.0, 3.0)).tolist() == pytest.approx(expected, rel=1e-5)
    before = [row["scores"] for row in task.rows(result, batch)]
    task.temperature = 3.0
    after = [row["scores"] for row in task.rows(result, batch)]
    logits = result.output.logits
    expected = (logits / 3).float().softmax(-1).flatten().tolist()
    assert [score for row in after for score in row.values()] == pytest.approx(expected, abs=1e-6) and before != after
    assert torch.equal(task.export_forward(batch), logits / 3)


@pytest.mark.parametrize("head", [SoftmaxTagHead, CrfTagHead])
def test_losses_of_tags_are_those_of_all_legal_sequences(head):
    task = ner.make_task(head=ner.Part(head))
    batch = ner.make_batch(rows=[{"tokens": ["Bo", "left"], "tags": ["B-who", "O"]}])
    if head is CrfTagHead:
        torch.nn.init.normal_(task.head.step)
    result = task(batch)
    words = result.output
    chain = task.head.chain(words.scores, words.padding_mask)
    for temperature in (0.5, 2.0):
        totals = {
            path: (chain.start[path[0]] + chain.scores[0, 0, path[0]] + chain.step[path] + chain.scores[0, 1, path[1]] + chain.end[path[1]])
            for path in product(range(len(task.tags)), repeat=2)
        }
        wanted = totals[tuple(batch["tags"][0].tolist())] / temperature
        expected = torch.logsumexp(torch.stack(list(totals.values())) / temperature, 0) - wanted
        assert task.losses_at(result, batch, (temperature,)).item() == pytest.approx(expected.item())
    if head is CrfTagHead:
        assert task.losses_at(result, batch, (1.0,)).item() == pytest.approx(result.loss.item())


def test_a_text_with_a_word_that_no_subword_represents_is_left_out():
    task = ner.make_task()
    both = [{"tokens": ["7", "Bonn"], "tags": ["B-place", "O"]}, {"tokens": ["Ulm"], "tags": ["B-place"]}]
    one, two = (ner.make_batch(rows=rows) for rows in (both[1:], both))
    assert task.losses_at(task(two), two, (2.0,)).item() == pytest.approx(task.losses_at(task(one), one, (2.0,)).item())
    none = ner.make_batch(rows=both[:1])
    assert task.losses_at(task(none), none, (2.0,)).tolist() == [0.0]


def test_a_temperature_changes_probabilities_of_entities_and_no_tags():
    task, batch = ner.make_task(head=ner.Part(CrfTagHead)), ner.make_batch()
    result = task(batch)
    before = task.rows(result, batch)
    task.temperature = 4.0
    after = task.rows(result, batch)
    assert [row["predicted_tags"] for row in before] == [row["predicted_tags"] for row in after]
    assert [row["prediction"] for row in before] != [row["prediction"] for row in after]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibrated")
    write_data(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield Run.open(train(*CLASSIFICATION, "task.calibrate=true", "logger=none", "task.ngrams=0"))


def test_a_calibrated_run_predicts_with_its_temperature(run, capsys, tmp_path):
    temperature = run.temperature()
    assert temperature not in (0.0, 1.0) and run.notes()["temperature"] == temperature
    loaded = Predictor.load(run)
    rows = [json.loads(line) for line in run.predictions.read_text().splitlines()]
    answers = loaded.predict([row["input"] for row in rows])
    assert [answer["score"] for answer in answers] == pytest.approx([row["score"] for row in rows], abs=1e-5)
    with torch.no_grad():
        logits = loaded.task.outputs(loaded.batch([row["input"] for row in rows[:1]])).logits
    assert max((logits / temperature).softmax(-1)[0].tolist()) == pytest.approx(rows[0]["score"], abs=1e-5)
    expected = BinaryCalibrationError(n_bins=15)(
        torch.tensor([row["score"] for row in rows]), torch.tensor([int(row["prediction"] == row["reference"]) for row in rows])
    )
    assert run.results()["test/calibration_error"] == pytest.approx(expected.item(), abs=1e-5)
    assert main(["evaluate", str(run.folder)]) == 0
    assert f"{run.results()['test/calibration_error']:.4f}"[:5] in capsys.readouterr().out


def test_exports_have_the_temperature(run, capsys, tmp_path):
    assert main(["export", str(run.folder), "to=safetensors", f"folder={tmp_path / 'own'}"]) == 0
    text = "fine great lovely"
    assert Predictor.load(tmp_path / "own").predict(text) == Predictor.load(run).predict(text)
    assert main(["export", str(run.folder), "to=huggingface", f"folder={tmp_path / 'hf'}"]) == 2
    (run.folder / "run.json").write_text((run.folder / "run.json").read_text().replace('"temperature": ', '"temperature": -'))
    with pytest.raises(UserError, match="temperature"):
        Predictor.load(run)


def test_rows_to_fit_to_are_needed_and_numbers_have_no_probabilities(run, capsys):
    words = [word for word in CLASSIFICATION if not word.startswith("data.validation")]
    said = refused(capsys, *words, "data.validation_share=0", "task.calibrate=true")
    assert "task.calibrate" in said and "data.validation=FILE" in said
    assert train_main([*CLASSIFICATION, "task/target=number", "task.calibrate=true"]) == 2
    assert "task.calibrate=false" in capsys.readouterr().err
