"""Lines of a text file, decoded one by one so that an error has its place; files ending in .gz are decompressed."""

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from framework.errors import UserError


def lines(path: Path, encoding: str) -> Iterator[str]:
    """Iterate over lines with their line ends. Only a line feed ends a line; other Unicode separators are text."""
    codec = codec_name(encoding)
    if "\n".encode(codec) != b"\n":
        yield from _wide_lines(path, codec)
        return
    start = 0
    with _opened(path) as file:
        for number, line in enumerate(file, 1):
            try:
                text = line.decode(codec)
            except UnicodeDecodeError as error:
                place = f"{path}, line {number}, byte {start + error.start} of the file"
                raise UserError(
                    f"{place}: 0x{line[error.start]:02x} is not {codec} ({error.reason})\n"
                    f"set data.encoding, for example data.encoding={'latin-1' if codec == 'utf-8' else 'utf-8'}"
                ) from None
            yield text.removeprefix("\ufeff") if number == 1 else text  # byte order mark, written by spreadsheets
            start += len(line)


def _wide_lines(path: Path, codec: str) -> Iterator[str]:
    """Lines in an encoding whose line feed is more than one byte (UTF-16)."""
    number = 0
    try:
        with _opened(path) as file:
            for line in io.TextIOWrapper(file, encoding=codec, newline="\n"):
                yield line
                number += 1
    except UnicodeError as error:  # a missing byte order mark is a UnicodeError without a place
        raise UserError(f"{path}, after line {number}: not {codec} ({error})\nset data.encoding, for example data.encoding=utf-8") from None


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file as bytes, decompressed."""
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opened(path, "rb") as file:
            yield file
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path}: not a whole gzip file ({error})") from None


def codec_name(encoding: str) -> str:
    try:
        codec = codecs.lookup(encoding).name
    except LookupError:
        raise UserError(f"data.encoding={encoding} is no encoding of Python; common ones are utf-8, latin-1, cp1252, utf-16") from None
    return "utf-8" if codec == "utf-8-sig" else codec
