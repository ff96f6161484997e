"""`python -m framework compare FOLDER_OR_RUNS... [by=KEY,KEY] [metric=SPLIT/NAME] [to=FILE.csv|FILE.md]`"""

from collections.abc import Sequence
from pathlib import Path

from framework.comparing.variants import Finished, checked_keys, differing, finished_runs, variants, without_repetitions
from framework.errors import UserError
from framework.utils.files import why_unwritable, write_text

WORDS = ("by", "metric", "to")


def compare(arguments: Sequence[str]) -> str:
    """The comparison of runs as text; `to=` also writes it to a file. UserError: what is asked for cannot be understood or done."""
    words, paths = _words(arguments)
    to = None if "to" not in words else Path(words["to"])
    if to is not None and to.suffix not in (".csv", ".md"):
        raise UserError(f"to={to}: the table is written to a file of the name .csv or .md")
    runs = finished_runs(paths)
    check_one_task(runs)
    side_by_side = len(runs) == len(paths) == 2 and "by" not in words
    runs = runs if side_by_side else without_repetitions(runs)
    if len(runs) == 1:
        raise UserError(f"{runs[0].run.folder} is one finished run; compare needs two or more")
    from framework.comparing import report, tables, two_runs  # imports torch, where there are runs to compare
    from framework.comparing.comparison import compared, metric_of

    metric = metric_of(runs, words.get("metric"))
    if side_by_side:
        found = compared(runs, ["run"], variants(runs, []), metric)
        made = {".md": lambda: two_runs.report(runs[0], runs[1], metric, found.lower, tables.markdown)}
        said = two_runs.report(runs[0], runs[1], metric, found.lower)
    else:
        keys = checked_keys(words["by"].split(","), runs) if "by" in words else differing(runs)
        comparison = compared(runs, keys, variants(runs, keys), metric)
        made = {".md": lambda: report.markdown(comparison), ".csv": lambda: report.comma_separated(comparison)}
        said = report.text(comparison)
    if to is not None:
        if to.suffix not in made:
            raise UserError(f"to={to}: two runs side by side are written to a file of the name .md")
        try:
            write_text(to, made[to.suffix]())
        except OSError as error:
            raise UserError(f"to={to} cannot be written: {why_unwritable(error) or error.strerror}") from error
    return said


def check_one_task(runs: Sequence[Finished]) -> None:
    """UserError: the runs are of several tasks."""
    if len(tasks := sorted({run.task.partition("/")[2] for run in runs})) > 1:
        raise UserError(f"runs of different tasks do not compare, and these are of {', '.join(tasks)}: name the folder of one")


def _words(arguments: Sequence[str]) -> tuple[dict[str, str], list[Path]]:
    """The command's own words, and its folders; a folder may have = in its name."""
    words: dict[str, str] = {}
    paths = []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if key in WORDS and equals:
            words[key] = value
        elif equals and not Path(argument).exists():
            raise UserError(f"{argument}: compare takes folders, {', '.join(f'{word}=' for word in WORDS)}")
        else:
            paths.append(Path(argument))
    if not paths:
        raise UserError("compare needs a folder of runs, or runs: python -m framework compare runs/classification")
    return words, paths
