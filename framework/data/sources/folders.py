"""A folder of one text per file: the folder a file lies in is its label."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from framework.data.formats import Row
from framework.data.sources.columns import Columns
from framework.data.sources.lines import lines
from framework.errors import UserError


def files_by_class(folder: Path, classes: Sequence[str] | None) -> dict[str, list[Path]]:
    """class -> its files, both in the order of their names. UserError: a class without files, or no classes at all."""
    there = sorted(path.name for path in folder.iterdir() if path.is_dir())
    for name in classes or ():
        if name not in there:
            raise UserError(f"{folder} has no folder {name!r} (data.classes); it has: {', '.join(there) or 'none'}")
    found = {name: sorted(path for path in (folder / name).iterdir() if path.is_file()) for name in classes or there}
    found = {name: paths for name, paths in found.items() if paths or classes}
    if not found:
        raise UserError(f"{folder} has no folders with files in them; with data.kind=folders each class is a folder of texts, one a file")
    for name, paths in found.items():
        if not paths:
            raise UserError(f"{folder / name} holds no files; it was named as a class (data.classes)")
    return found


def read_folders(folder: Path, columns: Columns, encoding: str, classes: Sequence[str] | None) -> Iterator[tuple[Row, str]]:
    """The text of each file and the name of its folder, a file of each class in turn, so that the first rows are of all classes."""
    places = columns.places(None, 2, str(folder))
    named = [[(name, path) for path in paths] for name, paths in files_by_class(folder, classes).items()]
    for turn in zip_longest(*named):
        for name, path in filter(None, turn):
            yield columns.row(["".join(lines(path, encoding)).strip("\r\n"), name], places), str(path)
