"""Texts of `python -m framework new` beside its templates: what a README says of each kind, and a pyproject.toml.

`specimen` is replaced by the name of the plugin; braces are fields of `str.format`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind of plugin.

    title: the first line of its README. files: what its files contain. preset: the override that chooses its preset.
    train: overrides of a training run with it. hint: what to try next.
    """

    title: str
    files: str
    preset: str
    train: str
    hint: str


KINDS = {
    "task": Kind(
        title="A task: a text in, a label out.",
        files="`data.py` defines the rows and turns them into tensors, `task.py` has the loss, the predictions and the metrics.",
        preset="model=specimen_small",
        train="task=specimen",
        hint="With rows of your own: `task=specimen data=files data.train=rows.csv`, with columns `text` and `label` "
        "(`data.columns.text=review` renames one).",
    ),
    "attention": Kind(
        title="An attention: cosine similarity in place of dot products.",
        files="`attention.py` has the two methods of an attention: keys and values of the context, and attention of the queries to them.",
        preset="model/attention=specimen_sharp",
        train="model/attention=specimen",
        hint="`model/attention=specimen` sets it for all stacks, `model/decoder/attention=specimen` for one.",
    ),
    "position": Kind(
        title="A position: a learned bias by distance.",
        files="`position.py` overrides one of three hooks: `embed` (embeddings), `rotary` (queries and keys), `bias` (attention scores).",
        preset="model/position=specimen_steep",
        train="model/position=specimen",
        hint="`model/position=specimen` sets it for all stacks, `model/decoder/position=specimen` for one.",
    ),
    "data": Kind(
        title="A source of rows.",
        files="`data.py` reads the rows, one at a time; its `origin` identifies them for the cache.",
        preset="data=specimen_small",
        train="task={task} data=specimen",
        hint="It serves every task whose rows have the columns `text` and `label`.",
    ),
}

README = """\
# specimen

{kind.title} {kind.files}
`conf/` has its presets, such as `{kind.preset}`.

```
{install}python -m pytest {folder}
python -m framework describe {name}/specimen
{train}
```

{kind.hint}
"""

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
