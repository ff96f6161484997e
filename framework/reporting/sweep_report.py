"""The page of a sweep, or of any folder of runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framework.comparing import report as compared_report
from framework.comparing.command import check_one_task
from framework.comparing.comparison import Comparison, compared, metric_of
from framework.comparing.variants import Finished, checked_keys, differing, finished_runs, run_folders, variants, without_repetitions
from framework.errors import UserError
from framework.reporting import page
from framework.reporting.bars import variant_bars
from framework.reporting.curves import FILE, Curves, overlaid, read_curves
from framework.reporting.drawing import MISSING, Picture, available
from framework.reporting.run_report import Report
from framework.runs.folder import Run
from framework.runs.life import standing
from framework.runs.sweep import LEDGER, Ledger

PAGE = "report.html"


@dataclass(frozen=True)
class Entry:
    """A job or run of a folder: its name, what has become of it, and why it failed."""

    name: str
    state: str
    error: str = ""


def sweep_report(folder: Path, by: str | None = None, metric: str | None = None) -> Report:
    """The page of the runs below a folder. by, metric: as of `compare`. UserError: there is no run; they are of several tasks, or have no
    such key or figure."""
    entries = jobs(folder)
    if not entries:
        raise UserError(f"{folder}: there is no run in it; report takes a run, or a folder of runs")
    runs = without_repetitions(finished_runs([folder])) if any(entry.state == "finished" for entry in entries) else []
    check_one_task(runs)
    remarks: list[str] = []
    found = _comparison(runs, by, metric) if len(runs) > 1 else None
    pictures = list(_pictures(runs, found, remarks))
    counts = ", ".join(f"{sum(entry.state == state for entry in entries)} {state}" for state in dict.fromkeys(e.state for e in entries))
    task = runs[0].task.partition("/")[2] if runs else ""
    html = page.html_page(
        f"{folder.resolve().name}{f': {task}' if task else ''}",
        page.paragraph(f"{len(entries)} runs: {counts}", "soft"),
        page.paragraph("Fewer than two runs have figures, so none are compared.") if found is None else "",
        page.section("Comparison", *_compared(found), page.figures(pictures, "figures")) if found else "",
        page.section("Learning curves", page.figures(pictures, "curves")),
        page.section("Runs", _runs(folder, entries, runs, found)),
        page.section("Configuration", _configuration(runs)),
        page.section("Not shown", page.items(remarks)),
    )
    return Report(html, pictures, remarks)


def jobs(folder: Path) -> list[Entry]:
    """The jobs of a sweep by its ledger, or the runs below a folder by their run.json. UserError: the ledger is damaged."""
    if (folder / LEDGER).is_file():
        return [Entry(job.run, job.state, job.error or "") for job in Ledger.read(folder).jobs]
    entries = []
    for path in run_folders(folder):
        name = str(path.relative_to(folder))
        try:
            notes = Run(path).notes()
            state = notes.get("state") or ("finished" if Run(path).results() else "unfinished")
            entries.append(Entry(name, str(state), str(notes.get("error") or "")))
        except UserError as error:
            entries.append(Entry(name, "damaged", str(error)))
    return entries


def _comparison(runs: Sequence[Finished], by: str | None, metric: str | None) -> Comparison:
    """As the command compare makes it."""
    keys = checked_keys(by.split(","), runs) if by else differing(runs)
    return compared(runs, keys, variants(runs, keys), metric_of(runs, metric))


def _compared(found: Comparison) -> list[str]:
    """The conclusions first, then the tables."""
    lines = compared_report.lines(found, page.table_block)
    blocks = [line for line in lines if isinstance(line, page.Block)]
    said = [line for line in lines if line and not isinstance(line, page.Block)]
    return [f'<div class="verdict">{page.from_lines(said)}</div>', *blocks]


def _pictures(runs: Sequence[Finished], found: Comparison | None, remarks: list[str]) -> "list[Picture]":
    if not available():
        remarks.append(MISSING)
        return []
    made = []
    if found is not None:
        name = found.metric.partition("/")[2]
        baselines = [run.metrics[f"baseline/{name}"] for run in runs if f"baseline/{name}" in run.metrics]
        made.append(variant_bars(found, baselines))
    groups = [(each.label, each.runs) for each in found.variants] if found else [("", list(runs))]
    curves: list[tuple[str, list[Curves]]] = []
    for label, group in groups:
        curves.append((label, [each for run in group if (each := _curves(run, remarks)).figures]))
    monitor = str(runs[0].notes.get("monitor", "validation/loss")) if runs else ""
    picture = overlaid(curves, monitor)
    if picture is not None:
        made.append(picture)
    elif runs:
        remarks.append(f"no learning curves: no run has a {FILE} with figures (logger=csv or logger=both writes it)")
    return made


def _curves(run: Finished, remarks: list[str]) -> Curves:
    try:
        return read_curves(run.run.folder)
    except UserError as error:
        remarks.append(f"no learning curves of {run.name}: {error}")
        return Curves({})


def _runs(folder: Path, entries: Sequence[Entry], runs: Sequence[Finished], found: Comparison | None) -> str:
    metric = found.metric if found else str(runs[0].notes.get("monitor", "")) if runs else ""
    known = {run.run.folder: run for run in runs}
    rows = []
    for entry in entries:
        path = (folder / entry.name).resolve()
        run = known.get(path)
        value = "" if run is None or metric not in run.metrics else f"{run.metrics[metric]:.4f}"
        seconds = "" if run is None or "cpu_seconds" not in run.notes else f"{run.notes['cpu_seconds']:,.0f}"
        name = page.link(f"{entry.name}/{PAGE}", entry.name) if (path / PAGE).is_file() else entry.name
        state = standing(Run(path)) if entry.state == "running" and path.is_dir() else entry.state
        why = entry.error or ("a repetition of another" if run is None and entry.state == "finished" else "")
        rows.append([name, state, why, value, seconds])
    kept = [place for place in range(5) if place < 2 or any(row[place] for row in rows)]
    head = ["run", "state", "why", metric, "CPU-s"]
    return page.table(
        [head[place] for place in kept], [[row[place] for place in kept] for row in rows], 2 + (2 in kept), wide=(2,) if 2 in kept else ()
    )


def _configuration(runs: Sequence[Finished]) -> str:
    """Overrides that all runs have."""
    if not runs:
        return ""
    words = [_words(run.notes) for run in runs]
    same = [word for word in words[0] if all(word in each for each in words)]
    return page.paragraph(f"Typed for all: {' '.join(same)}") if same else ""


def _words(notes: Mapping[str, Any]) -> list[str]:
    return [word.lstrip("+") for word in notes["overrides"] if not word.lstrip("+").startswith(("name=", "runs="))]
