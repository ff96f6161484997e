"""Checks of a file of `torch.save` before torch reads it.

It is a zip archive of stored entries: one pickle, and the bytes of each storage, each with a CRC-32. So an archive is not larger in memory
than on disk, a byte that has changed on disk is noticed, and the pickle names nothing but tensors.
"""

import pickletools
import zipfile
from io import BufferedReader
from pathlib import Path
from typing import Any

import torch

from framework.errors import UserError

OPERATIONS, OF_EACH = 200_000, 500  # of a pickle, and for each storage more: a tensor takes about 30
PICKLE_LIMIT = 4 << 20  # bytes of a pickle: about 100 for each tensor, and up to 100 bytes of memory can be made of each
DIRECTORY_LIMIT = 16 << 20  # bytes of the directory of an archive, 100 for each storage
_CHUNK = 1 << 20
# What the pickle of a checkpoint names. torch allows more: some take a size and allocate it (bytearray), or build subclasses of tensors.
_NAMES = {
    "collections OrderedDict",
    "builtins set",
    "__builtin__ set",
    "torch Size",
    "torch device",
    "torch.nn.parameter Parameter",
    "torch.storage UntypedStorage",
    "torch._utils _rebuild_tensor",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
}


def check_archive(path: Path) -> None:
    """Checks the directory and the pickles of an archive; reads no storage.

    UserError: it is compressed, so it may be larger in memory than on disk, or a pickle names more than tensors and plain values.
    zipfile.BadZipFile, and other exceptions of that module: it is damaged.
    """
    with path.open("rb") as file:
        end: Any = zipfile._EndRecData(file)  # type: ignore[attr-defined] # before the directory itself is read, however long it is
        if end is None or end[5] > DIRECTORY_LIMIT:
            raise zipfile.BadZipFile("no end of the directory" if end is None else "a directory of many entries")
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            size = sum(entry.file_size for entry in entries)
            if size > path.stat().st_size or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise UserError(f"{path} was not loaded: its entries are compressed, to {size:,} bytes; torch.save stores them as they are")
            for entry in entries:
                if entry.filename.endswith(".pkl"):
                    if entry.file_size > PICKLE_LIMIT:
                        raise UserError(f"{path} was not loaded: a pickle of {entry.file_size:,} bytes in it is no table of tensors")
                    _check_names(archive.read(entry), path, len(entries))


def check_series(path: Path) -> None:
    """Checks the pickles at the start of a file of torch before 1.6. UserError: see `check_archive`. ValueError: it is damaged."""
    with path.open("rb") as file:
        for _ in range(4):  # the number of the layout, its version, the machine, the table of tensors; then keys and storages
            _check_names(file, path)


def check_bytes(path: Path) -> None:
    """Reads an archive and compares every byte with the checksums in it, about 2 GB a second. zipfile.BadZipFile: they differ."""
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            with archive.open(entry) as content:
                while content.read(_CHUNK):
                    pass


def _check_names(pickled: "bytes | BufferedReader", path: Path, storages: int = 0) -> None:
    """UserError: a pickle names something else than tensors, their types, and plain values, or has far more of these than tensors."""
    most = OPERATIONS + OF_EACH * storages
    for count, (operation, argument, place) in enumerate(pickletools.genops(pickled)):
        if count > most or (place is not None and place > PICKLE_LIMIT):
            raise UserError(f"{path} was not loaded: a pickle of more than {count:,} operations in it is no table of tensors")
        if operation.name == "GLOBAL" and argument not in _NAMES and not _is_type(str(argument)):
            raise UserError(
                f"{path} was not loaded: it is damaged, or holds more than tensors and plain values and might run code.\n"
                f"GLOBAL {str(argument).replace(' ', '.')[:200]}"
            )


def _is_type(name: str) -> bool:
    """Whether `MODULE NAME` is a type of numbers or of a storage of them."""
    module, _, last = name.rpartition(" ")
    return module in ("torch", "torch.cuda") and (last.endswith("Storage") or isinstance(getattr(torch, last, None), torch.dtype))
