"""Six tasks as a new author writes them: their suites, and training, evaluating and predicting where they are found."""

import json
import math
from pathlib import Path

import pytest

from framework import Part
from framework.testing import TaskPromises
from tests import forks
from tests.strangers.plugins.mytasks import chat, correction, embedding, featured, preference, two_heads


class TestEmbedding(TaskPromises):
    task = Part(embedding.EmbeddingTask)


class TestEmbeddingInChunks(TaskPromises):
    task = Part(embedding.EmbeddingTask, chunk_rows=2)


class TestTwoHeads(TaskPromises):
    task = Part(two_heads.TwoHeadsTask)


class TestFeatured(TaskPromises):
    task = Part(featured.FeaturedTask)


class TestCorrection(TaskPromises):
    task = Part(correction.CorrectionTask)


class TestPreference(TaskPromises):
    task = Part(preference.PreferenceTask)


class TestChat(TaskPromises):
    task = Part("task/completion", format=Part(chat.ChatFormat))


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """The results of training, evaluating and predicting; one process for all, because starting is slow."""
    folder = tmp_path_factory.mktemp("strangers")
    (folder / "plugins").symlink_to(Path(__file__).parent / "plugins")
    code, out, said = forks.python("from tests.strangers.drive import main; main()", folder)
    assert code == 0, out + said
    return json.loads((folder / "outcomes.json").read_text())


@pytest.mark.parametrize(("name", "monitored"), [
    ("embedding", "recall_at_1"), ("two_heads", "intent_accuracy"), ("featured", "accuracy"), ("correction", "exact_match"),
    ("chat", "perplexity"), ("reference", "perplexity"), ("preference", "preferred"),
])  # fmt: skip
def test_a_task_trains_evaluates_and_predicts(outcomes, name, monitored):
    outcome = outcomes[name]
    for split in ("validation", "test"):
        if f"{split}/{monitored}" in outcome["trained"]:
            assert outcome["evaluated"][f"{split}/{monitored}"] == pytest.approx(outcome["trained"][f"{split}/{monitored}"])
    assert f"validation/{monitored}" in outcome["trained"]
    one, other = outcome["answers"]
    assert one == other and one["prediction"] is not None


def test_the_loss_of_a_second_head_has_its_own_figures(outcomes):
    assert {"train/slots", "validation/slots"} <= {*outcomes["two_heads"]["columns"]}


def test_a_reference_is_used_and_in_no_checkpoint(outcomes):
    preference, reference = outcomes["preference"], outcomes["reference"]
    assert "train/margin" in preference["columns"]
    assert preference["weights"] == reference["weights"]
    assert outcomes["moved"]["evaluated"] == pytest.approx(preference["evaluated"])
    assert outcomes["moved"]["answers"] == preference["answers"]
    assert outcomes["resumed"]["trained"]["validation/preferred"] >= 0


def test_a_published_model_is_a_reference(outcomes):
    """With a learning rate of 0 the model stays the reference: no answer is preferred, the loss is log 2."""
    assert outcomes["published"]["trained"]["validation/loss"] == pytest.approx(math.log(2), abs=1e-5)


@pytest.mark.parametrize(("name", "words"), [
    ("tokenizers", ("model.pretrained=", "task.reference=", "different tokenizers")),
    ("none", ("task.reference=RUN",)),
    ("moved", ("task.reference=", "there is no such folder", "task.reference=PATH says where it is now")),
    ("accumulation", ("trainer.accumulate_grad_batches = 2", "trainer.accumulate_grad_batches=1 data.batches.rows=64")),
    ("format", ("task.format = chat: task/classification reads padding_mask, label", "this format makes ids, following", "task/format=")),
])  # fmt: skip
def test_mistakes_are_named(outcomes, name, words):
    message = outcomes["resumed"]["messages"][name]
    assert not [word for word in words if word not in message], message
