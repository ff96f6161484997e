"""`python -m framework report FOLDER [by=KEY,KEY] [metric=SPLIT/NAME] [to=DIR]`: report.html and pictures/ of a run or a folder of runs."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from framework.errors import UserError
from framework.registry import nearest
from framework.utils.files import replacing, why_unwritable, write_text

if TYPE_CHECKING:
    from framework.reporting.drawing import Picture
    from framework.reporting.run_report import Report
    from framework.runs.folder import Run

WORDS = ("by", "metric", "to")
PAGE, PICTURES = "report.html", "pictures"


def report(arguments: Sequence[str]) -> str:
    """Writes the page of a folder and its pictures. Returns lines that say where they are, and what could not be shown. UserError: there is
    no such folder, no run in it, or nothing can be written."""
    words, folder = _words(arguments)
    if not folder.exists():
        raise UserError(f"{folder}: there is no such folder; report takes a run, runs/last, or a folder of runs")
    from framework.reporting.run_pictures import Shown  # imports torch, where there is something to show
    from framework.reporting.run_report import run_report
    from framework.reporting.sweep_report import sweep_report

    if folder.name == "last" or (folder / "config.yaml").is_file():
        shown = Shown.of(folder)
        if given := [word for word in ("by", "metric") if word in words]:
            raise UserError(f"{given[0]}= is for a folder of runs, and {folder} is one run")
        made, place = run_report(shown), shown.run.folder
    elif folder.is_dir():
        made, place = sweep_report(folder, words.get("by"), words.get("metric")), folder
    else:
        raise UserError(f"{folder} is a file; report takes a run, or a folder of runs")
    return "\n".join(written(made, Path(words["to"]) if "to" in words else place))


def report_at_the_end(run: "Run") -> None:
    """Writes page and pictures of a run that has its figures, and whose state is not recorded yet. A page that cannot be made is a line on
    standard error: the run is not worth less for it."""
    from framework.reporting.run_pictures import Shown
    from framework.reporting.run_report import run_report

    try:
        shown = Shown.of(run.folder)
        shown.notes["state"] = "finished"
        for line in written(run_report(shown), run.folder)[1:]:
            if not line.startswith("pictures "):
                print(line, file=sys.stderr)
    except UserError as error:
        print(f"the page of the run was not made: {error}", file=sys.stderr)


def written(made: "Report", folder: Path) -> list[str]:
    """Writes a page and its pictures into a folder. Returns lines about it. UserError: they cannot be written."""
    with _writing(folder):
        write_text(folder / PAGE, made.html)
        write_pictures(made.pictures, folder / PICTURES)
    lines = [f"page      {folder / PAGE}"]
    if made.pictures:
        lines.append(f"pictures  {folder / PICTURES}: {', '.join(each.name for each in made.pictures)}")
    return [*lines, *made.remarks]


def write_pictures(pictures: "Sequence[Picture]", folder: Path) -> None:
    """Writes pictures as PNG files, in place of those of an earlier page."""
    for path in folder.glob("*.png"):
        path.unlink()
    for each in pictures:
        with replacing(folder / f"{each.name}.png") as file:
            file.write(each.png)
    if folder.is_dir() and not any(folder.iterdir()):
        shutil.rmtree(folder)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{folder}: the page cannot be written: {why_unwritable(error) or error.strerror}; to=DIR names another folder"
        ) from error


def _words(arguments: Sequence[str]) -> tuple[dict[str, str], Path]:
    """The command's own words, and its folder; a folder may have = in its name."""
    words: dict[str, str] = {}
    paths = []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if key in WORDS and equals and value:
            words[key] = value
        elif equals and not Path(argument).exists():
            raise UserError(f"{argument}: report takes a folder, {', '.join(f'{word}=' for word in WORDS)}{nearest(key, WORDS)}")
        else:
            paths.append(Path(argument))
    if len(paths) != 1:
        raise UserError("report takes one run, or one folder of runs: python -m framework report runs/last")
    return words, paths[0]
