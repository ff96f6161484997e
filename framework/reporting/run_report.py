"""The page of a run."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from framework.comparing.rows import Tasks
from framework.comparing.variants import flat, shown
from framework.config import catalogue as index
from framework.config.compose import compose
from framework.errors import UserError
from framework.reporting import page
from framework.reporting.confusion import LABELS, read_table
from framework.reporting.drawing import Picture
from framework.reporting.examples import Examples, cells, examples
from framework.reporting.run_pictures import Shown, pictures_of
from framework.runs.figures import DIFFERENCE, SPLITS, figure_text, interval_of, names_of
from framework.runs.life import standing
from framework.runs.summary import parameter_lines, parts_line
from framework.utils.excerpt import excerpt
from framework.utils.phases import clock
from framework.utils.yaml_files import dump

_TEXT = 400  # characters of a text in a table


@dataclass(frozen=True)
class Report:
    """A page and its pictures. remarks: what it cannot show, and why."""

    html: str
    pictures: list[Picture]
    remarks: list[str]


def run_report(run: Shown) -> Report:
    """The page of a run, with whatever its folder has. UserError: its predicted rows are damaged."""
    pictures = list(pictures_of(run))
    remarks = list(dict.fromkeys(run.remarks))
    name = run.config.get("name") or run.run.folder.name
    html = page.html_page(
        f"{name}: {run.config['task']['part'].partition('/')[2]}",
        _head(run),
        page.section("Figures", _figures(run), page.figures(pictures, "figures")),
        page.section("Learning curves", page.figures(pictures, "curves")),
        page.section("Labels", page.figures(pictures, "confusion"), _labels(run)),
        page.section("Predictions", *_predictions(run)),
        page.section("Attention", _explained(run), page.figures(pictures, "attention", "moves")),
        page.section("Embeddings", page.figures(pictures, "neighbours")),
        page.section("Configuration", *_configuration(run)),
        page.section("Model and data", *_model(run), _data(run)),
        page.section("Not shown", page.items(remarks)),
    )
    return Report(html, pictures, remarks)


def _head(run: Shown) -> str:
    notes = run.notes
    state = notes.get("state", "")
    state = state if state in ("finished", "failed") else standing(run.run)
    facts = [f"folder {run.run.folder.name}" if run.run.folder.name != run.config.get("name") else "", state]
    if begin := notes.get("begin"):
        facts.append(f"begun {str(begin).replace('T', ' ').rstrip('Z')} UTC{_duration(notes)}")
    for key, text in (("cpu_seconds", "CPU-seconds"), ("parameters", "parameters"), ("trained_tokens", "trained tokens")):
        if key in notes:
            facts.append(f"{notes[key]:,.0f} {text}")
    if commit := notes.get("commit"):
        facts.append(f"commit {str(commit)[:10]}")
    verdict = "\n".join([page.paragraph(notes.get("verdict", ""), "verdict"), page.items(f"try {hint}" for hint in notes.get("hints", []))])
    why = page.paragraph(f"It failed: {notes['error']}", "verdict") if notes.get("error") else ""
    return "\n".join(filter(None, [page.paragraph("; ".join(filter(None, facts)), "soft"), why, verdict]))


def _duration(notes: Mapping[str, Any]) -> str:
    try:
        begin, end = (datetime.fromisoformat(str(notes[key])) for key in ("begin", "end"))
        return f", {clock((end - begin).total_seconds())} long"
    except (KeyError, ValueError, TypeError):
        return ""


def _figures(run: Shown) -> str:
    if run.finished is None:
        return page.paragraph("The run has no final figures: it has not come to its end.")
    metrics = run.finished.metrics
    splits = [split for split in SPLITS if any(name.startswith(f"{split}/") for name in metrics)]
    around = {split for split in splits for name in names_of(metrics) if interval_of(metrics, f"{split}/{name}")}
    heads = {split: f"{split} (95 % interval)" if split in around else split for split in splits}
    differs = any(name.startswith(f"{DIFFERENCE}/") for name in metrics)
    rows = []
    for name in names_of(metrics):
        between = interval_of(metrics, f"{DIFFERENCE}/{name}")
        difference = "" if between is None else f"{metrics[f'{DIFFERENCE}/{name}']:+.4f} ({between[0]:+.4f} to {between[1]:+.4f})"
        rows.append([name, *(figure_text(metrics, f"{split}/{name}") for split in splits), *([difference] if differs else [])])
    head = ["", *heads.values(), *(["difference from the baseline"] if differs else [])]
    return page.table(head, rows, len(head))


def _labels(run: Shown) -> str:
    try:
        table = read_table(run.run.folder / LABELS)
    except UserError as error:
        return page.paragraph(error)
    return page.table(table[0], table[1:], 1) if table else ""


def _predictions(run: Shown) -> list[str]:
    if run.finished is None:
        return []
    try:
        found = examples(run.finished, Tasks())
    except UserError as error:
        return [page.paragraph(f"Predictions are not shown: {error}")]
    if not found.best:
        return [page.paragraph("The run has no predicted rows.")] if not found.total else []
    if not found.ranked:
        return [page.paragraph(f"The first of {found.total:,} rows."), _rows(found.best)]
    of = f"{found.ranked:,}" if found.ranked == found.total else f"the first {found.ranked:,} of {found.total:,}"
    said = f"Of {of} rows of {run.split}, those with the best and the worst influence on {found.figure}; among equals the surest."
    return [page.paragraph(said), "<h3>Best</h3>", _rows(found.best), *_worst(found)]


def _worst(found: Examples) -> list[str]:
    return ["<h3>Worst</h3>", _rows(found.worst)] if found.worst else [page.paragraph("No row is predicted worse than these.")]


def _rows(rows: list[dict[str, Any]]) -> str:
    made = [cells(row) for row in rows]
    head = ["row", "input", "reference", "prediction", "score"]
    kept = [place for place in range(len(head)) if any(cell[place] != "" for cell in made)]
    cut = [[excerpt(str(cell[place]), _TEXT) for place in kept] for cell in made]
    return page.table([head[place] for place in kept], cut, wide=[number for number, place in enumerate(kept) if 0 < place < 4])


def _explained(run: Shown) -> str:
    if run.explanation is None:
        return ""
    command = 'Another text, or two: python -m framework explain RUN text="..." text2="..."'
    return page.paragraph(f"The text: {excerpt(run.explanation.text, _TEXT)}") + page.paragraph(command, "soft")


def _configuration(run: Shown) -> list[str]:
    notes = run.notes
    changed = differences(run)
    table = page.table(["option", "this run", "default", ""], changed, 4, wide=(1,)) if changed else ""
    if changed == []:
        table = page.paragraph("The defaults of the task.")
    if changed is None:
        table = page.paragraph(f"Typed: {' '.join(notes['overrides']) or 'nothing'}")
    settings = page.items(notes.get("settings", []))
    chosen = page.paragraph("Chosen from the training rows, or for the device:") + settings if settings else ""
    return [table, chosen, page.folded("the whole configuration", page.preformatted(dump(run.config)))]


def differences(run: Shown) -> list[list[str]] | None:
    """The options of a run that are not the defaults of its task: option, value, default, and whether it was typed. None: the task, or what
    it is made of, is not there now."""
    try:
        base = compose([f"task={run.notes['chosen'].get('task', run.config['task']['part'].partition('/')[2])}"])
    except UserError:
        return None
    default, own = flat(base.config, base.chosen), flat(run.config, run.notes["chosen"])
    words = {word.lstrip("+~").partition("=")[0] for word in run.notes["overrides"]}
    told = {line.partition(" ")[0] for line in run.notes.get("settings", [])}  # with the reasons
    rows = []
    for key in own:
        if key in told and key not in words and default.get(key) is None:
            continue
        changed = own[key] != (default[key] if key in default else signature_default(run.config, key))
        if changed and (key in words or not _follows(key, own, default)):
            rows.append([key, shown(own[key]), shown(default.get(key)), "typed" if key in words else ""])
    if run.config.get("seed") != base.config.get("seed"):
        rows.append(["seed", shown(run.config.get("seed")), shown(base.config.get("seed")), "typed" if "seed" in words else ""])
    return sorted(rows, key=lambda row: not row[3])


def _follows(key: str, own: Mapping[str, Any], default: Mapping[str, Any]) -> bool:
    """Whether the option of a stack (`model/encoder/position`) is that of the model (`model/position`), as by default."""
    above = re.sub(r"^model([./])(encoder|decoder)\1", r"model\1", key)
    return above != key and above in own and own[above] == own[key]


def signature_default(config: Mapping[str, Any], key: str) -> Any:
    """The default of an option by the signature of the part that it belongs to; None where that is not known."""
    *path, name = key.split(".")
    node: Any = config
    for step in path:
        node = node.get(step) if isinstance(node, Mapping) else None
    part = node.get("part") if isinstance(node, Mapping) else None
    field = index.load().option(part)["fields"].get(name) if part else None
    return field.get("default") if field else None


def _model(run: Shown) -> list[str]:
    try:
        lines = [parts_line(run.config)]
    except (KeyError, TypeError, AttributeError):  # a model of another shape
        lines = []
    if run.predictor is not None:
        lines += parameter_lines(run.predictor.task)
    return [page.preformatted("\n".join(lines))] if lines else []


def _data(run: Shown) -> str:
    sizes = run.notes.get("data", {})
    columns = list(dict.fromkeys(key for size in sizes.values() for key in size))
    rows = [[split, *(f"{size.get(key, 0):,}" for key in columns)] for split, size in sizes.items()]
    versions = ", ".join(f"{name} {version}" for name, version in run.notes["versions"].items())
    remarks = page.items(run.notes.get("remarks", []))
    return page.table(["", *columns], rows, 1) + remarks + page.paragraph(versions, "soft")
