"""Settings that a task chooses from the training rows: what they are chosen from, what they give way to, and what the user sees of them."""

import json
import random

import numpy as np
import pytest

from framework.cli.train import main
from framework.config.compose import compose
from framework.config.presets import chosen_over, divided
from framework.data.facts import Facts, Setting
from framework.errors import UserError
from framework.runs.folder import Run
from framework.workflows.settings import _fitting, chosen_settings, joined, setting_lines
from framework.workflows.start import Start, compose_run
from plugins.classification import defaults
from plugins.pretraining.task import PretrainingTask
from plugins.translation import defaults as translation

pytestmark = pytest.mark.hydra  # also with a newer one: make test-hydra

RULES = defaults.ClassificationDefaults()
SETTINGS = {
    "model": {"max_length": 96},
    "tokenizer": {"is": "wordpiece", "min_frequency": 1},
    "data": {"batches": {"is": "buckets", "budget": 512}},
    "trainer": {"max_epochs": 9},
    "task": {"ngrams": 3, "target": {"is": "label", "monitor": "f1"}},
}


def test_other_values_join_those_of_a_choice_and_another_choice_takes_its_values_away():
    content = {"tokenizer": {"is": "bpe", "vocab_size": 2000}, "model": "tiny_encoder", "task": {"format": {"is": "masked", "share": 0.3}}}
    values = {"tokenizer": {"is": "wordpiece"}, "model": {"is": "tiny_encoder", "dim": 8}, "task": {"format": {"share": 0.1}}, "seed": 1}
    assert chosen_over(content, values) == {
        "tokenizer": {"is": "wordpiece"},
        "model": {"is": "tiny_encoder", "dim": 8},
        "task": {"format": {"is": "masked", "share": 0.1}},
        "seed": 1,
    }
    assert divided(values) == (
        {"tokenizer": {"is": "wordpiece"}, "model": {"is": "tiny_encoder", "dim": 8}},
        {"task": {"format": {"share": 0.1}}, "seed": 1},
    )


def composed(*words):
    return compose(["task=classification", "data=files", "data.train=x.csv", *words], settings=SETTINGS)


def test_settings_are_values_of_the_recipe():
    config = composed().config
    assert config["model"]["max_length"] == 96
    assert config["tokenizer"]["min_frequency"] == 1
    assert config["data"]["batches"]["budget"] == 512
    assert config["trainer"]["max_epochs"] == 9
    assert (config["task"]["ngrams"], config["task"]["target"]["monitor"]) == (3, "f1")
    assert len(setting_lines([Setting(SETTINGS, "so")], composed())[0].split(", ")) == 9


def test_what_is_typed_or_of_an_experiment_wins():
    config = composed("model.max_length=64", "tokenizer=bytes", "data/batches=rows", "trainer.max_epochs=2", "task/target=labels").config
    assert (config["model"]["max_length"], config["trainer"]["max_epochs"]) == (64, 2)
    assert config["tokenizer"]["part"] == "tokenizer/bytes" and "budget" not in config["data"]["batches"]
    assert config["task"]["target"]["part"] == "target/labels" and config["task"]["ngrams"] == 3
    config = composed("model=bert_tiny", "experiment=trec").config
    assert config["trainer"]["max_epochs"] == 12 and config["model"]["max_length"] == 96  # of any model
    assert setting_lines([Setting({"trainer": {"max_epochs": 9}}, "so")], composed("trainer.max_epochs=2")) == []
    assert setting_lines([Setting({"tokenizer": {"is": "wordpiece"}}, "so")], composed()) == ["tokenizer wordpiece: so"]


def test_settings_that_contradict_what_is_typed_are_left_out():
    def again(*words):
        return lambda settings: compose_run(["task=summarization", "data=files", "data.train=x.csv", *words], settings=settings)

    longer = Setting({"trainer": {"max_epochs": 9}}, "so")
    least = Setting({"task": {"decoding": {"is": "beam_5", "min_new_tokens": 9}}}, "so")
    assert _fitting([longer, least], again())[1] == [longer, least]
    composed, kept = _fitting([least, longer], again("task.decoding.max_new_tokens=4"))
    assert kept == [longer] and composed.config["trainer"]["max_epochs"] == 9
    assert not composed.config["task"]["decoding"].get("min_new_tokens")
    with pytest.raises(UserError, match="num_heads"):
        _fitting([longer, least], again("model.num_heads=0"))


def facts(rows, length=20, labels=(("a", 1), ("b", 1)), **options):
    return Facts(rows, rows * length * 5, labels=dict(labels), lengths=[length] * 10, **options)


def chosen(known, **options):
    parts = {"model": "tiny_encoder", "tokenizer": "wordpiece", "callbacks": "default", "task/format": "classification"} | options
    settings = [*RULES.tokenizer_settings(known), *RULES.settings(known)]
    return joined(setting for setting in settings if setting.beside.items() <= parts.items())


def test_classification_reads_whole_texts_and_trains_longer_on_few():
    assert chosen(facts(300))["trainer"]["max_epochs"] > chosen(facts(3000))["trainer"]["max_epochs"]
    assert chosen(facts(3000, effort=0.3))["trainer"]["max_epochs"] < chosen(facts(3000, effort=4.0))["trainer"]["max_epochs"]
    lengths = [*range(10, 107), 2000, 2000, 2000]
    assert chosen(Facts(100, 1000, labels={"a": 1, "b": 1}, lengths=lengths))["model"]["max_length"] == 128
    assert chosen(Facts(100, 1000, labels={"a": 1, "b": 1}, lengths=[3000] * 9))["model"]["max_length"] == defaults.LONGEST
    assert "tokenizer" not in chosen(facts(100_000))


def test_pairs_take_few_epochs():
    pairs = {"task/format": "pairs"}
    assert chosen(facts(300), **pairs)["trainer"]["max_epochs"] == defaults.MOST_OF_PAIRS < chosen(facts(300))["trainer"]["max_epochs"]
    assert chosen(facts(30_000), **pairs) == chosen(facts(30_000))


@pytest.mark.parametrize(
    ("rare", "target"),
    [(5, {"is": "label", "monitor": "f1", "class_weights": "balanced"}), (30, {"is": "label", "monitor": "f1"}), (45, None)],
)
def test_the_most_frequent_label_is_not_favored(rare, target):
    assert chosen(facts(100, labels=(("a", 100 - rare), ("b", rare))))["task"].get("target") == target


def write(path, rows, share):
    """Rows of which a share mentions one of two words, which decides the label."""
    made = random.Random(0)
    words = [f"w{number}" for number in range(60)]
    lines = []
    for number in range(rows):
        positive = number % round(1 / share) == 0
        text = made.choices(words, k=6)
        text.insert(made.randrange(6), made.choice(["alpha", "beta"] if positive else ["gamma", "delta"]))
        lines.append(f"{' '.join(text)},{'yes' if positive else 'no'}")
    path.write_text("\n".join(["text,label", *lines]))


def test_a_run_saves_and_prints_what_was_chosen_and_why(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "rows.csv", 800, 0.05)
    words = ["task=classification", "data=files", "data.train=rows.csv", "model.dim=16", "trainer.max_epochs=3", "logger=none"]
    assert main(words) == 0
    printed = capsys.readouterr().out
    run = Run.open(tmp_path / "runs/last")
    config, lines = run.config(), run.notes()["settings"]
    assert config["task"]["target"]["monitor"] == "f1" and config["task"]["ngrams"] == 2
    assert config["model"]["max_length"] == 32 and config["trainer"]["max_epochs"] == 3
    assert all(line in printed for line in lines)
    chosen = {path.rpartition(" ")[0] for line in lines for path in line.partition(":")[0].split(", ")}
    assert chosen >= {"tokenizer.min_frequency", "model.max_length", "task.ngrams", "task.target.monitor", "task.target.class_weights"}
    assert "trainer.max_epochs" not in chosen  # it was typed
    predicted = {json.loads(line)["prediction"] for line in run.predictions.read_text().splitlines()}
    assert predicted == {"yes", "no"}  # the checkpoint is not that of the most frequent label


def test_the_recipe_as_it_stands_is_one_word_away(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "rows.csv", 100, 0.5)
    words = ["task=classification", "data=files", "data.train=rows.csv"]
    fixed, standard = (Start.of([*words, *more]).prepare() for more in (["effort=fixed"], []))
    assert ([*fixed.settings], fixed.config["task"]["ngrams"]) == ([], 0)
    assert standard.settings and standard.config["task"]["ngrams"] == 2
    (line,) = Start.of(["task=classification", "data.limit=20"]).prepare().settings  # recipes are tuned to the built-in rows
    assert line.startswith("trainer.precision 32-true: ")


def test_little_text_is_read_as_bytes_with_n_grams(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.txt").write_text("\n".join(f"the row of number {number}" for number in range(600)))
    words = ["task=completion", "data=files", "data.train=rows.txt"]
    start = Start.of(words).prepare()
    assert (start.config["task"]["ngrams"], start.config["tokenizer"]["part"]) == (6, "tokenizer/bytes")
    assert start.config["trainer"]["max_epochs"] == 20 and start.config["data"]["batches"]["budget"] == 1024
    typed = Start.of([*words, "task.ngrams=0", "tokenizer=bpe", "tokenizer.vocab_size=300"]).prepare()
    assert (typed.config["task"]["ngrams"], typed.config["tokenizer"]["part"]) == (0, "tokenizer/bpe")


def test_few_pairs_have_a_lexicon(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pairs.tsv").write_text("source\ttarget\n" + "".join(f"the dog {number}\tder Hund {number}\n" for number in range(200)))
    start = Start.of(["task=translation", "data=files", "data.train=pairs.tsv"]).prepare()
    config = start.config
    assert config["task"]["lexicon"] == translation.TRANSLATIONS and config["trainer"]["max_epochs"] == translation.MOST
    assert config["task"]["ngrams"] == translation.NGRAMS and config["task"]["decoding"]["num_beams"] == 5
    assert any("task.lexicon" in line for line in start.settings)
    assert Start.of(["task=translation", "data=files", "data.train=pairs.tsv", "task.lexicon=0"]).prepare().config["task"]["lexicon"] == 0


def test_summaries_copy_from_documents_that_are_read_whole(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [{"document": f"{'word ' * 100} {number}", "summary": f"word {number}"} for number in range(80)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = Start.of(["task=summarization", "data=files", "data.train=rows.jsonl"]).prepare().config
    assert config["task"]["copy"] is True and config["model"]["max_length"] == 128
    assert (config["task"]["max_ratio"], config["task"]["max_extra"]) == (0.0, 3)  # the tokens of a summary and the end


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["task=classification"], "built-in"),
        (["task=classification", "data=files", "data.train=rows.csv", "task.teacher=runs/last"], "student"),
    ],
)
def test_an_effort_that_changes_nothing_is_refused(words, said):
    config = compose([*words, "effort=large"]).config
    with pytest.raises(UserError, match=f"effort=large.*{said}"):
        chosen_settings(config, lambda settings: pytest.fail("nothing is composed again"))
    assert chosen_settings({**config, "effort": "standard"}, lambda settings: pytest.fail("nothing is composed again")) is None


def test_an_effort_of_a_task_without_rules_is_refused(monkeypatch):
    config = compose(["task=pretraining", "data=files", "data.train=rows.txt", "effort=large"]).config
    monkeypatch.setattr(PretrainingTask, "defaults", None)
    with pytest.raises(UserError, match="effort=large.*task/pretraining"):
        chosen_settings(config, lambda settings: pytest.fail("nothing is composed again"))


def test_pretraining_reads_bytes_of_little_text_more_often(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.txt").write_text("one line of some twenty words or so\n" * 40)
    config = Start.of(["task=pretraining", "data=files", "data.train=rows.txt", "data.validation_share=0.1"]).prepare().config
    assert config["tokenizer"]["part"] == "tokenizer/bytes" and config["trainer"]["max_epochs"] == 20
    assert config["data"]["batches"]["budget"] == 1024


def test_lengths_are_those_of_an_even_sample(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text("text,label\n" + "".join(f"{'word ' * (1 + number % 7)},{number % 2}\n" for number in range(70)))
    seen = []
    monkeypatch.setattr(defaults.ClassificationDefaults, "settings", lambda self, known: seen.append(known) or iter(()))
    Start.of(["task=classification", "data=files", "data.train=rows.csv", "data.validation_share=0"]).prepare()
    (known,) = seen
    assert (known.rows, known.labels) == (70, {"0": 35, "1": 35})
    assert np.bincount(known.lengths).tolist() == [0, 0, 0] + [10] * 7  # with the begin and the end token
    assert known.tokens == sum(known.lengths)
