"""Texts of `python -m framework new` beside its templates: what a README says of each kind, and a pyproject.toml.

`specimen` is replaced by the name of the plugin; braces are fields of `str.format`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind of plugin.

    title: the first line of its README. train: overrides of a training run with it; TASK and SLOT stand for a task that takes such a part,
    and for its slot. preset: the override that chooses its preset. files: what its files contain. hint: what to try next.
    """

    title: str
    train: str
    preset: str = ""
    files: str = ""
    hint: str = ""


KINDS = {
    "task": Kind(
        "A task: a text in, a label out.",
        "task=specimen",
        "model=specimen_small",
        "`data.py` defines the rows and turns them into tensors, `task.py` has the loss, the predictions and the metrics.",
        "With rows of your own: `task=specimen data=files data.train=rows.csv`, with columns `text` and `label` "
        "(`data.columns.text=review` renames one).",
    ),
    "attention": Kind(
        "An attention: cosine similarity in place of dot products.",
        "model/attention=specimen",
        "model/attention=specimen_sharp",
        "`attention.py` has the two methods of an attention: keys and values of the context, and attention of the queries to them.",
        "`model/attention=specimen` sets it for all stacks, `model/decoder/attention=specimen` for one.",
    ),
    "position": Kind(
        "A position: a learned bias by distance.",
        "model/position=specimen",
        "model/position=specimen_steep",
        "`position.py` overrides one of three hooks: `embed` (embeddings), `rotary` (queries and keys), `bias` (attention scores).",
        "`model/position=specimen` sets it for all stacks, `model/decoder/position=specimen` for one.",
    ),
    "data": Kind(
        "A source of rows.",
        "task=TASK data=specimen",
        "data=specimen_small",
        "`data.py` reads the rows, one at a time; its `origin` identifies them for the cache.",
        "It serves every task whose rows have the columns `text` and `label`.",
    ),
    "adapter": Kind(
        "An adapter: learned factors of linear maps.", "model/adapter=specimen optimizer=adamw", "model/adapter=specimen_values"
    ),
    "batches": Kind("A batch sampler: short rows first.", "task=TASK data/batches=specimen", "data/batches=specimen_long"),
    "block": Kind("A block: norms on both sides of each sublayer.", "model/block=specimen", "model/block=specimen_small_steps"),
    "callback": Kind(
        "A callback: training stops at a target.",
        "callbacks=specimen",
        "callbacks=specimen",
        hint="`callbacks.specimen.target=0.9` sets an option of it; the preset adds it to the default callbacks.",
    ),
    "classifier": Kind("A classifier: scaled cosines.", "task=TASK task/SLOT=specimen", "task/SLOT=specimen_sharp"),
    "decoder": Kind("A decoder: layers are left out in training.", "model/decoder=specimen", "model/decoder=specimen_half"),
    "decoding": Kind("A decoding strategy: min-p sampling.", "task/decoding=specimen", "task/decoding=specimen_bold"),
    "distillation": Kind(
        "A distillation loss: the reverse KL divergence.",
        "task.teacher=runs/last task/distillation=specimen",
        "task/distillation=specimen_soft",
        hint="The teacher, here the last run, is one of the same task.",
    ),
    "encoder": Kind("An encoder: the mean of all layers.", "task=TASK model/encoder=specimen", "model/encoder=specimen_even"),
    "family": Kind(
        "A published family: config.json and weight names.",
        "task=TASK model.pretrained=FOLDER",
        hint="`FOLDER` has a config.json whose `model_type` is `specimen`, weights and a tokenizer.",
    ),
    "feed_forward": Kind("A feed-forward network: products.", "model/feed_forward=specimen", "model/feed_forward=specimen_narrow"),
    "format": Kind("A text format: texts with a title.", "task=TASK task/format=specimen", "task/format=specimen_once"),
    "model": Kind("A model: bounded logits.", "model=specimen", "model=specimen_small"),
    "norm": Kind("A norm: one length for all features.", "model/norm=specimen", "model/norm=specimen_short"),
    "optimizer": Kind("An optimizer: signs of the momentum.", "optimizer=specimen", "optimizer=specimen_fast"),
    "schedule": Kind("A schedule: cosine with restarts.", "schedule=specimen", "schedule=specimen_often"),
    "tag_head": Kind("A tagging head: focal loss.", "task=TASK task/SLOT=specimen", "task/SLOT=specimen_sharp"),
    "target": Kind("A target: numbers on a logarithmic scale.", "task=TASK task/SLOT=specimen"),
    "tokenizer": Kind("A tokenizer: whole words.", "tokenizer=specimen", "tokenizer=specimen_frequent"),
    "tracker": Kind("A tracker: lines of JSON.", "logger=specimen", "logger=specimen"),
    "trainer": Kind("A trainer: a budget of time.", "trainer=specimen_minute", "trainer=specimen_minute"),
}

README = """\
# specimen

{kind.title} {files}{preset}

```
{install}python -m pytest {folder}
python -m framework describe {name}/specimen
{train}
```
{hint}"""

PYPROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "plugformer-{dashed}"
version = "0.1.0"
description = "{kind.title}"
requires-python = ">=3.11"
dependencies = ["plugformer"]

[project.entry-points."plugformer.plugins"]
specimen = "plugformer_specimen"

[tool.setuptools]
packages = ["plugformer_specimen"]

[tool.setuptools.package-data]
plugformer_specimen = ["**/*.py", "**/*.yaml"]
"""
