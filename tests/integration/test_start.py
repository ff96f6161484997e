"""A run opens each thing once: its pretrained model, its teacher, its data; and it writes its own files once."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from framework.cli.train import main
from framework.config.quoting import quote
from framework.data import cache, module
from framework.errors import UserError
from framework.huggingface.folder import PublishedModel
from framework.pretrained.source import RunSource, Sources
from framework.runs import lock
from framework.runs.folder import Run
from framework.workflows.start import Start
from tests.integration.conftest import CLASSIFICATION, train

WORDS = [word for word in CLASSIFICATION if not word.startswith(("tokenizer", "model"))] + ["trainer.max_epochs=1"]
BASE = [*CLASSIFICATION, "trainer.max_epochs=1"]


@pytest.fixture
def counts(monkeypatch):
    """The number of times that published folders, runs, prepared data and checksums of cached files are opened."""
    counts: Counter = Counter()

    def counting(owner, name, key):
        original = getattr(owner, name)

        def call(*arguments, **options):
            counts[key(*arguments)] += 1
            return original(*arguments, **options)

        monkeypatch.setattr(owner, name, staticmethod(call) if isinstance(owner, type) and name == "open" else call)

    counting(PublishedModel, "open", lambda path: f"published {path.name}")
    counting(RunSource, "__init__", lambda source, name, *_: f"run {name}")
    counting(module, "prepare", lambda *_: "prepared")
    counting(cache, "whole", lambda folder: f"checked {folder.parent.name} {folder.name}")
    return counts


@pytest.fixture
def bert(project):
    """A published model in the current folder."""
    import transformers

    from framework.data.tokenization.trainers import BytesTokenizer

    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 40, "max_position_embeddings": 32}
    labels = {"id2label": {0: "bad", 1: "good"}, "label2id": {"bad": 0, "good": 1}}
    transformers.BertForSequenceClassification(transformers.BertConfig(**sizes, **labels, vocab_size=270)).save_pretrained("bert")
    BytesTokenizer().train(list).save(Path("bert/tokenizer.json"))


def opened(counts: Counter) -> dict[str, int]:
    """The counts, which are reset; every file of the cache was checked once at most."""
    found = dict(counts)
    counts.clear()
    assert all(times == 1 for name, times in found.items() if name.startswith("checked")), found
    return {name: times for name, times in found.items() if not name.startswith("checked")}


def test_a_published_model_that_is_also_the_teacher(bert, counts):
    run = train(*WORDS, "model.pretrained=bert", "task.teacher=bert", "task.pooling=pooler")
    assert opened(counts) == {"published bert": 1, "prepared": 1}
    train(f"resume={run}", "trainer.max_epochs=2")  # its teacher alone
    assert opened(counts) == {"published bert": 1, "prepared": 1}


def test_a_run_that_is_also_the_teacher(project, counts):
    train(*BASE).rename("base")
    assert opened(counts) == {"prepared": 1}
    train("-m", *WORDS, "model.pretrained=base", "task.teacher=base", "model.dim=16", "model.num_layers=1", "model.num_heads=2",
          "model.max_length=32", "seed=1,2")  # fmt: skip
    counts.pop("prepared")
    assert {name: times for name, times in counts.items() if name.startswith("run")} == {"run base": 1}  # one for all jobs


def test_the_data_of_a_resumed_run(project, counts):
    run = train(*BASE)
    counts.clear()
    before = {path.name: path.stat().st_mtime_ns for path in (run / "tokenizer.json", run / "data_spec.json")}
    train("resume=runs/last", "trainer.max_epochs=2")
    assert opened(counts) == {"prepared": 1}
    assert before == {path.name: path.stat().st_mtime_ns for path in (run / "tokenizer.json", run / "data_spec.json")}  # its only copies


def test_a_config_starts_the_run_of_its_overrides(project):
    from framework.workflows.interactive import compose

    words = [word for word in BASE if not word.startswith("callbacks")]
    start, other = Start.of(words), Start.of_config({**compose(words), "name": "own"})
    assert {**start.config, "name": "own"} == other.config
    assert Start.of([*words, "resume=null"]).run is None
    with pytest.raises(UserError, match=r"model\.dim"):
        Start.of_config({**other.config, "model": {**other.config["model"], "dim": "wide"}})


def test_a_run_without_a_checkpoint_starts_anew_when_it_is_resumed(bert, counts, capsys):
    run = train(*WORDS, "model.pretrained=bert", "task.pooling=pooler")
    for path in (run / "checkpoints").iterdir():
        path.unlink()
    counts.clear()
    train(f"resume={run}")
    assert opened(counts) == {"published bert": 1, "prepared": 1}
    assert capsys.readouterr().out.count("pretrained bert: 41 of 41 tensors loaded") == 2
    assert json.loads((run / "metrics.json").read_text())


def test_a_broken_checkpoint_is_refused_before_the_folder_changes(project, capsys):
    run = train(*BASE)
    (run / "checkpoints" / "last.ckpt").write_bytes(b"PK")
    before = (run / "run.json").read_text(), (run / "config.yaml").read_text()
    assert main([f"resume={run}", "trainer.max_epochs=2"]) == 2
    assert "truncated or damaged" in capsys.readouterr().err
    assert before == ((run / "run.json").read_text(), (run / "config.yaml").read_text())


def test_the_run_to_resume(project, capsys):
    """However its name is quoted; nobody else may be training in it, and `runs/last` is the resumed run."""
    run, other = (
        train(*BASE, "name=my run", "trainer.max_steps=1", "resume=auto"),
        train(*BASE, "name=other"),
    )
    before = (run / "run.json").read_bytes()
    with lock.held(run):
        for words in ([*BASE, "name='my run'", "resume=auto"], [*BASE, 'name="my run"', "resume='auto'"], [f"resume='{run}'"]):
            assert main(words) == 2
            assert str(os.getpid()) in capsys.readouterr().err
    assert (run / "run.json").read_bytes() == before
    assert main([*BASE, "name=a/b", "resume=auto"]) == 2 and main([*BASE, "resume=auto"]) == 2
    assert Path("runs/last").resolve() == other
    with Start.of([f"resume={run}"]).opened() as start:
        assert start.run and start.run.folder == run == Path("runs/last").resolve()


def test_names_of_any_letters(project):
    """In a folder of runs of one's own, with data of such names; `python -m framework` finds the run there."""
    name, runs = "Grüße, 東京 = 'x' [1]", "größe=3, {x}"
    Path("train.csv").rename("train=ü, [1].csv")
    words = [word for word in BASE if not word.startswith("data.train")]
    with Start.of([*words, "data.train=train=ü, [1].csv", f"name={quote(name)}", f"runs={runs}"]).opened() as start:
        assert start.run and start.run.folder.name.startswith(name) and start.run.folder.parents[1] == Path(runs)
        assert start.run.config()["data"]["train"] == "train=ü, [1].csv"
    found = Start.of([*words, "data.train=train=ü, [1].csv", f"name={quote(name)}", f"runs={runs}", "resume=auto"]).run
    assert found and found.folder == start.run.folder.resolve() == Run.open(Path(runs) / "last").folder
    assert not Path("runs").exists()


def test_a_run_that_was_made_since_the_start_is_not_made_again(project, capsys):
    start = Start.of([*BASE, "name=x", "resume=auto"])
    run = train(*BASE, "name=x", "trainer.max_steps=1")
    with pytest.raises(UserError, match=run.name), start.opened():
        pass
    assert len([*Path("runs/classification").iterdir()]) == 1


def test_a_source_is_opened_once(project, counts):
    train(*BASE).rename("base")
    sources = Sources()
    assert sources.published("base") is None and sources.open("base") is sources.open("base") is not None
    assert opened(counts) == {"prepared": 1, "run base": 1}
    assert Start.of_run(Run.open(Path("base"))).resumes
