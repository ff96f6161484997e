"""Lines of a text file, decoded one by one so that an error has its place; gzip files are decompressed."""

import codecs
import gzip
import io
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from framework.errors import UserError

_MARKS = (  # byte-order marks; that of UTF-32 begins as that of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ESCAPES = ("idna", "punycode", "raw-unicode-escape", "unicode-escape", "undefined")  # codecs of Python that no text file is in
_GZIP = b"\x1f\x8b"
_NO_TEXT = {
    b"PK\x03\x04": "a zip archive or a spreadsheet: unpack it, or save it as CSV",
    b"\xfd7zXZ": "compressed by xz: unpack it",
    b"BZh91AY&SY": "compressed by bzip2: unpack it",
    b"\x28\xb5\x2f\xfd": "compressed by zstd: unpack it",
    b"PAR1\x15": "a parquet file: set data.kind=parquet",
    b"%PDF-": "a PDF: extract its text",
    b"SQLite format 3\0": "a database: export it as CSV",
}


def lines(path: Path, encoding: str | None) -> Iterator[str]:
    """Iterate over lines with their line ends. Only a line feed ends a line; other Unicode separators are text.

    encoding: None = that of the byte-order mark, else UTF-8. UserError: the file cannot be read or decoded, or is no text.
    """
    with opened(path) as file:
        codec = _codec(path, file, encoding)
        ascii_line_feed = "\n".encode(codec) == b"\n"
        for number, line in enumerate(_decoded(path, file, codec) if ascii_line_feed else _wide(path, file, codec), 1):
            if number == 1:
                line = line.removeprefix("\ufeff")
                if "\r" in line.rstrip("\r\n") and "\n" not in line:
                    raise UserError(f"{path}: lines end in carriage returns alone; write them as line feeds: tr '\\r' '\\n' < {path} > NEW")
            if "\0" in line:
                raise UserError(f"{path}, line {number}: the character U+0000 is no text: remove it{_wider(line)}")
            yield line


def _decoded(path: Path, file: BinaryIO | gzip.GzipFile, codec: str) -> Iterator[str]:
    """Lines in an encoding whose line feed is the byte of ASCII."""
    start = 0
    for number, line in enumerate(file, 1):
        try:
            yield line.decode(codec)
        except UnicodeDecodeError as error:
            place = f"{path}, line {number}, byte {start + error.start} of the file"
            raise UserError(
                f"{place}: 0x{line[error.start]:02x} is not {codec} ({error.reason})\n"
                f"repair it, or set data.encoding, for example data.encoding={'latin-1' if codec == 'utf-8' else 'utf-8'}"
            ) from None
        except UnicodeError as error:
            raise UserError(f"{path}, line {number}: not {codec} ({error})\nset data.encoding, for example data.encoding=utf-8") from None
        start += len(line)


def _wide(path: Path, file: BinaryIO | gzip.GzipFile, codec: str) -> Iterator[str]:
    """Lines in an encoding whose line feed is more than one byte (UTF-16)."""
    number = 0
    try:
        for line in io.TextIOWrapper(file, encoding=codec, newline="\n"):
            yield line
            number += 1
    except UnicodeError as error:  # a missing byte order mark is a UnicodeError without a place
        raise UserError(f"{path}, after line {number}: not {codec} ({error})\nset data.encoding, for example data.encoding=utf-8") from None


def _codec(path: Path, file: BinaryIO | gzip.GzipFile, encoding: str | None) -> str:
    """The codec that a file declares by a byte-order mark, else that of the option. UserError: they differ, or the file is no text."""
    start = file.read(16)
    file.seek(0)
    for signature, kind in _NO_TEXT.items():
        if start.startswith(signature):
            raise UserError(f"{path} is no text but {kind}")
    codec = codec_name(encoding or "utf-8")
    declared = next((name for mark, name in _MARKS if start.startswith(mark)), None)
    if declared and encoding and not codec.startswith(declared):
        raise UserError(f"{path} begins with the byte-order mark of {declared}, unlike data.encoding={encoding}: leave data.encoding out")
    return declared or codec


def _wider(line: str) -> str:
    """The encoding that zeros between letters show, as a remedy."""
    zeros = [at % 4 for at in range(min(len(line), 400) // 4 * 4) if line[at] == "\0"]
    width = 4 if len(zeros) > len(line[:400]) * 0.6 else 2
    if len(zeros) < 2:
        return ""
    order = "le" if zeros.count(0) < zeros.count(3) else "be"
    return f", or if the file is UTF-{8 * width}, set data.encoding=utf-{8 * width}-{order}"


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO | gzip.GzipFile]:
    """The file as bytes, decompressed. UserError: it cannot be read."""
    with readable(path):
        size_of(path)
        with path.open("rb") as file:
            zipped = file.read(2) == _GZIP or path.suffix.lower() == ".gz"
            file.seek(0)
            if not zipped:
                yield file
                return
            try:
                with gzip.GzipFile(fileobj=file) as content:
                    yield content
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise UserError(
                    f"{path}: not a whole gzip file ({error}); download it again, or rename it if it is not compressed"
                ) from None


def size_of(path: Path) -> int:
    """Bytes of a file; of a folder any number but 0. UserError: it cannot be read, or is a pipe or device."""
    with readable(path):
        status = path.stat()
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        raise UserError(f"{path} is no regular file: data is read several times, so copy it into one")
    return status.st_size or stat.S_ISDIR(status.st_mode)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """UserError: the operating system refuses what the block does with the file or folder."""
    try:
        yield
    except OSError as error:
        target = f", a link to {os.readlink(path)}," if os.path.islink(path) else ""
        raise UserError(f"{path}{target} cannot be read: {error.strerror or error}") from None


def codec_name(encoding: str) -> str:
    try:
        codec = codecs.lookup(encoding).name
        if codec in _ESCAPES:
            raise LookupError
        "".encode(codec)
    except LookupError:  # also of codecs that make no text of bytes, as base64
        raise UserError(f"data.encoding={encoding} is no encoding of Python; common ones are utf-8, latin-1, cp1252, utf-16") from None
    return "utf-8" if codec == "utf-8-sig" else codec
