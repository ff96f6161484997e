"""Model card of an export. Mitchell et al. 2019, https://arxiv.org/abs/1810.03993"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from framework.data.labels import all_labels
from framework.runs import figures
from framework.runs.folder import Run
from framework.runs.predictor import Predictor
from framework.runs.summary import parameter_lines, parts_line
from framework.tasks.base import Task
from framework.tasks.capabilities import Exportable

SPLITS = ("train", "validation", "test")


def card(run: Run, loaded: Predictor, library: str, loading: Sequence[str]) -> str:
    """README.md. library: the Hub's name of the library that loads the folder. loading: lines of Python; FOLDER stands for the folder."""
    config, tag = loaded.config, pipeline_tag(loaded.task)
    parameters = parameter_lines(loaded.task)[0].split()[-1]
    command = shlex.join(["python", "-m", "framework", "train", *run.overrides()])
    versions = ", ".join(f"{name} {version}" for name, version in run.versions().items())
    head = ["---", f"library_name: {library}", *([f"pipeline_tag: {tag}"] if tag else []), "---"]
    sections = {
        "": [f"{parts_line(config)}.", f"{parameters} parameters; at most {loaded.spec.max_length:,} tokens of input."],
        "Loading": ["In this folder:", "", "```python", *(line.replace("FOLDER", ".") for line in loading), "```"],
        "Training data": [*data_lines(config["data"], run.sizes()), *remark_lines(run.remarks())],
        **({"Labels": list(label_lines(counts))} if (counts := run.label_counts()) else {}),
        "Metrics": list(metric_lines(run.results())),
        "Training": ["```", command, "```", "", f"With {versions}."],
        "License": ["None is given. Whoever publishes this folder chooses one and names it here and as `license:` above."],
    }
    body = [line for title, lines in sections.items() for line in ([f"## {title}", ""] if title else []) + [*lines, ""]]
    return "\n".join([*head, "", f"# {config['name']}", "", *body])


def pipeline_tag(task: Task) -> str | None:
    """The Hub's pipeline_tag of a task; the Hub has none for text2text-generation. https://huggingface.co/docs/hub/models-tasks"""
    return task.hf_task if isinstance(task, Exportable) and task.hf_task != "text2text-generation" else None


def data_lines(node: Mapping[str, Any], sizes: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """The source, and files and sizes of each split. Files without their folders: a card holds no paths of the machine."""
    source = node["part"].partition("/")[2]
    where = [_name(str(node[key])) for key in ("path", "name", "revision", "folder") if node.get(key)]
    limit = f", at most {node['limit']:,} rows of each split" if node.get("limit") else ""
    yield f"`data={' '.join([source, *where])}`{limit}."
    rows = []
    for split in SPLITS:
        counts = [f"{sizes[split][unit]:,}" for unit in ("rows", "tokens")] if split in sizes else ["", ""]
        if node.get(split) or split in sizes:
            rows.append([split, ", ".join(_names(node.get(split))), *counts])
    if rows:
        yield from ("", *table(("split", "files", "rows", "tokens"), rows))


def label_lines(counts: Mapping[str, Mapping[str, int]], most: int = 100) -> Iterator[str]:
    """A table of labels: a row for each label, a column for each split."""
    labels = sorted(all_labels(counts), key=lambda label: (-sum(each.get(label, 0) for each in counts.values()), label))
    yield from table(
        ("label", *counts), [(code(label), *(f"{each.get(label, 0):,}" for each in counts.values())) for label in labels[:most]]
    )
    if len(labels) > most:
        yield from ("", f"The {most} most frequent of {len(labels):,} labels; `labels.csv` in the folder of the run has all.")


def code(text: str) -> str:
    """A text in backquotes in a table, so that its blanks are seen."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{' '.join(text.splitlines())}{pad}{fence}".replace("|", "\\|")


def remark_lines(remarks: Sequence[str]) -> Iterator[str]:
    """A list of the sentences about the data."""
    if remarks:
        yield ""
        yield from (f"- {remark}" for remark in remarks)


def metric_lines(metrics: Mapping[str, float]) -> Iterator[str]:
    """A table of metrics: a row for each metric, a column for each split."""
    if not metrics:
        yield "The run has no final metrics: it did not end, or had no validation or test data."
        return
    columns = [column for column in figures.SPLITS if any(name.startswith(f"{column}/") for name in metrics)]
    rows = [(name, *(figures.figure_text(metrics, f"{column}/{name}") for column in columns)) for name in figures.names_of(metrics)]
    yield from table(("", *columns), rows)
    if "baseline" in columns:
        yield from ("", "`baseline` is a simple method on the same rows.")
    if any(name.startswith(f"{figures.LOW}/") for name in metrics):
        yield from ("", "In brackets: 95 % of resamples of the rows are between.")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def _names(value: Any) -> list[str]:
    """File names of one path or several, or of a split with options of its own."""
    value = value.get("path") if isinstance(value, Mapping) else value
    return [Path(str(path)).name for path in (value if isinstance(value, list) else [value]) if path]


def _name(value: str) -> str:
    """The name of a folder; a name on the Hub (owner/name) stays as it is."""
    return value if re.fullmatch(r"[\w.-]+(/[\w.-]+)?", value) and not Path(value).exists() else Path(value).name
