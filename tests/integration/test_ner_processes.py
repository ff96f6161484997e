"""Named entities in two processes: exactly the metrics of one process."""

import json
from collections import Counter
from random import Random

import pytest

from tests.integration.conftest import train
from tests.integration.test_run_folder import figures, predictions

pytestmark = pytest.mark.slow
NAMES = {"person": ("ada", "kurt", "emmy", "alan"), "place": ("rome", "lima", "oslo", "cairo"), None: ("met", "in", "and", "the", "near")}
ROWS = {"train": 60, "validation": 21, "test": 23}  # neither 21 nor 23 can be dealt evenly to two
NER = ["task=ner", "data=files", *(f"data.{part}={part}.jsonl" for part in ROWS), "task.format.overlap=2"]
NER += ["model=small_encoder", "model.dim=16", "model.num_layers=1", "model.num_heads=2", "model.max_length=16"]
NER += ["data/batches=rows", "data.batches.rows=8", "callbacks.progress.style=off", "trainer.accelerator=cpu"]
NER += ["recipe=scratch", "task.format.word_features=1024"]  # also where it begins from a run
LEARNED = [
    "tokenizer=wordpiece",
    "tokenizer.vocab_size=2000",
    "model.dropout=0",
    "optimizer=adamw",
    "optimizer.lr=0.02",
    "trainer.max_epochs=4",
]


def sentence(draw):
    """A few words and their tags; one entity in four has the other type, so that no model finds all."""
    tokens, tags = [], []
    for type in draw.choices(list(NAMES), k=draw.randint(1, 9)):
        tokens.append(draw.choice(NAMES[type]))
        told = type if type is None or draw.random() < 0.75 else next(other for other in NAMES if other not in (type, None))
        tags.append("O" if told is None else f"B-{told}")
    return json.dumps({"tokens": tokens, "tags": tags})


def test_two_processes_have_the_metrics_of_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw = Random(0)
    for name, count in ROWS.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(f"{sentence(draw)}\n" for _ in range(count)))
    alone = train(*NER, *LEARNED, "trainer.devices=1")
    both = train(*NER, f"model.pretrained={alone}", "trainer=ddp", "optimizer.lr=0.0", "trainer.max_steps=1")  # the same weights

    one, other = figures(alone), figures(both)
    assert 0.3 < one["test/f1"] < 1 and one["test/f1/person"] != one["test/f1/place"]
    exact = {name for name in one if not name.endswith(("/loss", "/calibration_error"))}
    parts = Counter(name.partition("/")[0] for name in exact)
    assert parts == {"validation": 6, "test": 6, "baseline": 6, "difference": 1, "low": 7, "high": 7}
    assert {name: other[name] for name in exact} == {name: one[name] for name in exact}
    for name in one.keys() - exact:  # sums of what float32 makes of batches
        assert other[name] == pytest.approx(one[name], abs=1e-6)
    assert len(one) == len(exact) + 4
    found = [[(row["row"], row["predicted_tags"]) for row in predictions(run)] for run in (alone, both)]
    assert found[0] == found[1] and len(found[0]) == ROWS["test"]
