"""Input and output of `predict`: texts, files and standard input; JSON lines in a file or on standard output."""

import glob
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from framework.data.formats import Format, Row
from framework.data.sources.base import SPLITS
from framework.data.sources.files import FilesData, Kind
from framework.data.sources.to_predict import typed_or_rows
from framework.errors import UserError
from framework.utils.files import why_unwritable
from framework.utils.json_text import to_json

STDIN = "-"
_NAME = "standard input"


def rows_of(
    file: str, config: Mapping[str, Any], format: Format, overrides: Sequence[str] = (), kind: str | None = None
) -> Iterator[tuple[str | Row, str]]:
    """The rows of a file with their places, read with the options of the run's own files; columns that only training needs may be absent.
    `-` is standard input: lines of text, which are read as they come, or a file of the kind that is named.

    kind: of the file; null = the kind of the run's files (data.kind) where the endings are the same or an override names it, else by the
    ending. UserError: there is no such kind; see `FilesData`.
    """
    node = config["data"] if config["data"]["part"] == "data/files" else {}
    options = {name: node[name] for name in FilesData.reading if name in node}
    typed = kind is not None or any(word.lstrip("+").startswith("data.kind=") for word in overrides)
    if kind is not None:
        options["kind"] = kind
        if kind not in get_args(Kind):
            raise UserError(f"kind={kind}: there is no such kind of file; there are: {', '.join(get_args(Kind))}")
    elif not typed and (file == STDIN or _ending(file) not in _own_endings(node)):
        options["kind"] = "auto"
    if file != STDIN:
        yield from typed_or_rows(format, file, **options)
    elif typed and options.get("kind") not in ("auto", "text"):
        with tempfile.TemporaryDirectory() as folder:  # such files are read several times
            path = Path(folder) / _NAME
            path.write_bytes(_stdin().read())
            for row, place in typed_or_rows(format, str(path), **options):
                yield row, place.replace(str(path), _NAME)
    else:
        yield from _lines(options.get("encoding"))


@contextmanager
def writing(to: str | None, overwrite: bool, file: str | None) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """A function that writes one answer as a line of JSON: to a file, which is made with the first one, or to standard output.

    UserError: the file exists, and `overwrite` is false; it is the file that is read; it cannot be written, and how many answers it has.
    """
    if to is None:
        yield lambda answer: print(to_json(answer, ascii_only=not _takes_any_letter(sys.stdout)), flush=True)
        return
    path, count = Path(to), 0
    _check_target(path, overwrite, file)
    opened: list[Any] = []

    def write(answer: Mapping[str, Any]) -> None:
        nonlocal count
        if not opened:
            path.parent.mkdir(parents=True, exist_ok=True)
            opened.append(open(path, "w", encoding="utf-8"))
        opened[0].write(f"{to_json(answer)}\n")
        opened[0].flush()
        count += 1

    try:
        yield write
        for handle in opened:
            os.fsync(handle.fileno())
    except OSError as error:
        if isinstance(error, BrokenPipeError) or (error.filename and Path(str(error.filename)) not in (path, *path.parents)):
            raise
        raise UserError(
            f"to={to} cannot be written: {why_unwritable(error) or error.strerror or error}; it has the first {count:,} answers"
        ) from error
    finally:
        for handle in opened:
            _close(handle)
    print(f"{count:,} predictions in {to}")


def _check_target(path: Path, overwrite: bool, file: str | None) -> None:
    """UserError: `to=` names something that is not to be overwritten."""
    if path.is_dir():
        raise UserError(f"to={path} is a folder; name a file")
    read = [file or "", *(glob.glob(file) if file else ())]
    if path.exists() and any(os.path.exists(name) and os.path.samefile(path, name) for name in read):
        raise UserError(f"to={path} is the file that is read; name another one")
    if path.is_file() and not overwrite:
        raise UserError(f"to={path} exists; name another file, or overwrite=true replaces it")


def _lines(encoding: str | None) -> Iterator[tuple[str, str]]:
    """The lines of standard input as they come, with their places. UserError: one is not in the encoding."""
    for number, line in enumerate(_stdin(), 1):
        where = f"{_NAME}, line {number}"
        try:
            yield line.decode(encoding or ("utf-8-sig" if number == 1 else "utf-8")).rstrip("\r\n"), where
        except UnicodeDecodeError as error:
            raise UserError(f"{where}: it is not {error.encoding} ({error.reason}); set data.encoding, as data.encoding=latin-1") from None


def _stdin() -> Any:
    if sys.stdin is None:
        raise UserError("file=-: standard input is closed")
    return sys.stdin.buffer


def _close(handle: Any) -> None:
    try:
        handle.close()
    except OSError:
        pass  # what could not be written was reported by `write`


def _takes_any_letter(stream: Any) -> bool:
    return (getattr(stream, "encoding", None) or "utf-8").lower().replace("-", "") in ("utf8", "utf16", "utf32")


def _own_endings(node: Mapping[str, Any]) -> set[str]:
    """The endings of the files of a config node of data."""
    given = [value.get("path") if isinstance(value, Mapping) else value for value in map(node.get, SPLITS)]
    return {_ending(name) for value in given for name in ([value] if isinstance(value, str) else value or ())}


def _ending(name: str) -> str:
    return Path(name.lower().removesuffix(".gz")).suffix
