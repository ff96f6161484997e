"""Folders of texts, one text a file: the name of its folder is the label of a text."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from framework.data.formats import Row
from framework.data.sources.columns import Columns
from framework.data.sources.lines import lines
from framework.errors import UserError


def files_by_class(folder: Path, classes: Sequence[str] | None) -> dict[str, list[Path]]:
    """class -> its files, both sorted by name. UserError: a class has no files, or there are no classes."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    for name in classes or ():
        if name not in names:
            raise UserError(f"{folder} has no folder {name!r} (data.classes); it has: {', '.join(names) or 'none'}")
    files = {name: sorted(path for path in (folder / name).iterdir() if path.is_file()) for name in classes or names}
    files = {name: paths for name, paths in files.items() if paths or classes}
    if not files:
        raise UserError(f"{folder} has no folders with files; data.kind=folders needs one folder a class, with one text a file")
    for name, paths in files.items():
        if not paths:
            raise UserError(f"{folder / name} has no files; remove it from data.classes")
    return files


def read_folders(folder: Path, columns: Columns, encoding: str, classes: Sequence[str] | None) -> Iterator[tuple[Row, str]]:
    """Each text with the name of its folder. Classes alternate, so that the first rows have all of them."""
    indices = columns.indices(None, 2, str(folder))
    classes_of_files = [[(name, path) for path in paths] for name, paths in files_by_class(folder, classes).items()]
    for group in zip_longest(*classes_of_files):
        for name, path in filter(None, group):
            yield columns.row(["".join(lines(path, encoding)).strip("\r\n"), name], indices), str(path)
