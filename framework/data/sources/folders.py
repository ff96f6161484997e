"""Folders of texts, one text a file: the name of its folder is the label of a text."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from framework.data.formats import Row
from framework.data.sources.columns import Columns
from framework.data.sources.lines import lines, readable
from framework.errors import UserError

UNLABELED = ("unsup", "unsupervised", "unlabeled", "unlabelled")  # names of folders that are not classes


def files_by_class(folder: Path, classes: Sequence[str] | None) -> dict[str, list[Path]]:
    """class -> its files, both sorted by name, without those of programs, whose names begin with a dot or two underscores.

    UserError: a class has no files, a folder of texts without labels is beside the classes, or there are no classes.
    """
    names = [path.name for path in _listed(folder) if path.is_dir()]
    for name in classes or ():
        if name not in names:
            raise UserError(f"{folder} has no folder {name!r} (data.classes); it has: {', '.join(names) or 'none'}")
    files = {name: _listed(folder / name) for name in classes or names}
    files = {name: paths for name, paths in files.items() if paths or classes}
    if not files:
        raise UserError(f"{folder} has no folders with files; data.kind=folders needs one folder a class, with one text a file")
    for name, paths in files.items():
        if not paths:
            raise UserError(f"{folder / name} has no files; remove it from data.classes")
        if inner := next((path for path in paths if path.is_dir()), None):
            raise UserError(
                f"{inner} is a folder inside the class {name!r}, whose texts would not be read: move its files into {folder / name}"
            )
        if classes is None and name.lower() in UNLABELED and len(files) > 1:
            others = ",".join(other for other in files if other != name)
            raise UserError(
                f"{folder / name} looks like texts without a label beside the classes\n"
                f"set data.classes=[{others}], or data.classes=[{','.join(files)}] if it is a class"
            )
    return files


def _listed(folder: Path) -> list[Path]:
    with readable(folder):
        return sorted(path for path in folder.iterdir() if not path.name.startswith((".", "__")))


def read_folders(folder: Path, columns: Columns, encoding: str | None, classes: Sequence[str] | None) -> Iterator[tuple[Row, str]]:
    """Each text with the name of its folder. Classes alternate, so that the first rows have all of them."""
    indices = columns.indices(None, 2, str(folder))
    classes_of_files = [[(name, path) for path in paths] for name, paths in files_by_class(folder, classes).items()]
    for group in zip_longest(*classes_of_files):
        for name, path in filter(None, group):
            yield columns.row(["".join(lines(path, encoding)).strip("\r\n"), name], indices, str(path)), str(path)
