"""The model card: everything in it comes from the run."""

import shlex

import pytest
import yaml

from framework.export.card import card, data_lines, label_lines
from framework.runs.folder import Run
from framework.runs.predictor import Predictor
from tests.export.runs import TASKS, make_run

TAGS = {"classification": "text-classification", "ner": "token-classification", "completion": "text-generation", "pretraining": "fill-mask"}


def text_of(folder, loading=("import x", 'x.load("FOLDER")')):
    run = Run.open(folder)
    return card(run, Predictor.load(folder), "plugformer", loading)


@pytest.mark.parametrize("task", TASKS)
def test_the_front_matter_is_what_the_hub_expects(task, tmp_path):
    _, front, _ = text_of(make_run(tmp_path, task)).split("---\n", 2)
    tag = {"pipeline_tag": TAGS[task]} if task in TAGS else {}
    assert yaml.safe_load(front) == {"library_name": "plugformer", **tag}


def test_everything_comes_from_the_run(tmp_path):
    words = ["name=mine", "data=files", "data.folder=/home/somebody/reviews", "data.train=[a.csv,deep/b.csv]", "data.test=/tmp/c.csv"]
    folder = make_run(tmp_path, "classification", *words)
    run = Run.open(folder)
    run.save_sizes({"train": {"rows": 1200, "tokens": 34567, "dropped": 0, "truncated": 1}})
    text = text_of(folder)
    parameters = sum(parameter.numel() for parameter in Predictor.load(folder).task.parameters())
    for said in (
        "# mine\n",
        "classification with encoder_only: encoder of multi_head, learned, mlp, layer, ",
        f"{parameters:,} parameters; at most 64 tokens of input.",
        '```python\nimport x\nx.load(".")\n```',
        "`data=files reviews`.",
        "| train | a.csv, b.csv | 1,200 | 34,567 |",
        "| test | c.csv |  |  |",
        "| accuracy |  | 0.7500 | 0.5000 |",
        "| loss | 1.2500 | 1.5000 |  |",
        "`baseline` is a simple method on the same rows.",
        f"\n```\n{shlex.join(['python', '-m', 'framework', 'train', *run.overrides()])}\n```\n",
        f"torch {run.versions()['torch']}",
        "None is given. Whoever publishes this folder chooses one and names it here and as `license:` above.",
    ):
        assert said in text, said
    learned = text.partition("## Training data")[2].partition("##")[0]
    assert "/home" not in learned and "/tmp" not in learned and "deep" not in learned  # by name, wherever they lay


def test_remarks_about_the_data_are_on_the_card(tmp_path):
    folder = make_run(tmp_path, "classification")
    sizes = {"train": {"rows": 3, "tokens": 7, "unknown": 5, "dropped": 0, "truncated": 0}}
    Run.open(folder).save_sizes(sizes, ["train: 5 of 7 are unknown", "test: none"])
    data = text_of(folder).partition("## Training data\n\n")[2].partition("\n\n## ")[0]
    assert data.endswith("|\n\n- train: 5 of 7 are unknown\n- test: none")


def test_labels_are_counted_in_each_split(tmp_path):
    folder = make_run(tmp_path, "classification")
    assert "## Labels" not in text_of(folder)
    Run.open(folder).save_labels({"train": {"pos": 1200, "Pos": 3, "a|b": 2}, "test": {"pos": 4, "never": 2, " odd": 1}})
    labels = text_of(folder).partition("## Labels\n\n")[2].partition("\n\n##")[0].split("\n")
    assert labels[:7] == [
        "| label | train | test |",
        "| --- | --- | --- |",
        "| `pos` | 1,200 | 4 |",
        "| `Pos` | 3 | 0 |",
        "| `a\\|b` | 2 | 0 |",
        "| `never` | 0 | 2 |",
        "| ` odd` | 0 | 1 |",
    ]
    assert len(labels) == 7


def test_of_many_labels_the_most_frequent_are_shown():
    lines = list(label_lines({"train": {f"label {number}": number + 1 for number in range(300)}}))
    assert lines[2] == "| `label 299` | 300 |" and len(lines) == 2 + 100 + 2
    assert "100 most frequent of 300 labels" in lines[-1]


def test_a_run_without_metrics_says_so(tmp_path):
    folder = make_run(tmp_path, "classification")
    Run.open(folder).metrics.unlink()
    assert "The run has no final metrics" in text_of(folder)


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"part": "data/hub", "path": "stanfordnlp/sst2", "revision": "main", "train": "train"}, "`data=hub stanfordnlp/sst2 main`."),
        ({"part": "data/hub", "path": "/home/somebody/sst2", "train": "train"}, "`data=hub sst2`."),
        ({"part": "data/builtin", "limit": 1500}, "`data=builtin`, at most 1,500 rows of each split."),
    ],
    ids=["hub", "folder", "built in"],
)
def test_sources_are_named(node, said):
    first, *rest = data_lines(node, {})
    assert first == said
    assert bool(rest) == ("train" in node)
