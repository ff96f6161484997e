"""The texts beside the code that `python -m framework new` writes: a preset, a README, a pyproject.

`specimen` becomes the chosen name; words in capitals are filled in; `a_reader` is a task that reads the rows of a source.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind of thing to write.

    what: the README's first line. files: what the code does. preset: how the preset is chosen, and what stands in it.
    train: overrides that train with it. hint: what to try next.
    """

    what: str
    files: str
    preset: tuple[str, str]
    train: str
    hint: str

    @property
    def group(self) -> str:
        """`model/attention=specimen_sharp` -> attention."""
        return self.preset[0].partition("=")[0].rpartition("/")[2]

    @property
    def preset_name(self) -> str:
        return self.preset[0].partition("=")[2]


KINDS = {
    "task": Kind(
        what="A task: a text in, a label out.",
        files="`data.py` says what a row is and how it becomes tensors, `task.py` what the model learns from them.",
        preset=(
            "model=specimen_small",
            """\
# specimen: small enough to train in seconds
is: encoder_only
position: rotary
dim: 64
num_heads: 4
num_layers: 2
max_length: 128
""",
        ),
        train="task=specimen",
        hint="Rows of your own: `task=specimen data=files data.train=rows.csv`, with columns `text` and `label` "
        "(`data.columns.text=review` renames one).",
    ),
    "attention": Kind(
        what="An attention: cosines instead of dot products.",
        files="`attention.py` has the two steps of every attention: what is kept of the tokens looked at, and what is made of it.",
        preset=(
            "model/attention=specimen_sharp",
            """\
# specimen with sharper scores
is: specimen
scale: 20.0
""",
        ),
        train="model/attention=specimen",
        hint="It goes everywhere, or into one stack (`model/decoder/attention=specimen`).",
    ),
    "position": Kind(
        what="A position: a penalty for distance that is learned.",
        files="`position.py` fills one of three hooks: `embed` adds to embeddings, `turn` rotates queries and keys, `bias` adds to scores.",
        preset=(
            "model/position=specimen_steep",
            """\
# specimen that begins steeper
is: specimen
slope: 4.0
""",
        ),
        train="model/position=specimen",
        hint="It goes everywhere, or into one stack (`model/decoder/position=specimen`).",
    ),
    "data": Kind(
        what="A source of rows.",
        files="`data.py` reads the rows, one at a time; `origin` says what they depend on.",
        preset=(
            "data=specimen_small",
            """\
# specimen: few rows, to try things out
is: specimen
limit: 100
""",
        ),
        train="task=a_reader data=specimen",
        hint="It serves every task whose rows have the columns `text` and `label`.",
    ),
}

README = """\
# specimen

WHAT FILES
The presets lie in `conf/`: `PRESET` is one.

```
INSTALL
python -m pytest FOLDER
python -m framework describe KIND/specimen
TRAIN
```

HINT
"""

PYPROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "plugformer-DASHED"
version = "0.1.0"
description = "WHAT"
requires-python = ">=3.11"
dependencies = ["plugformer"]

[project.entry-points."plugformer.plugins"]
specimen = "plugformer_specimen"

[tool.setuptools]
packages = ["plugformer_specimen"]

[tool.setuptools.package-data]
plugformer_specimen = ["**/*.py", "**/*.yaml"]
"""
