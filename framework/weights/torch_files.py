"""Safe loading of torch files, in the layouts of torch since 1.6 (zip archives) and before (a series of pickles): only tensors and plain
values, whose bytes are those that were written, and a UserError for anything else.
"""

import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch

from framework.errors import UserError
from framework.weights.torch_archive import check_archive, check_bytes, check_series

# Exceptions that torch and zipfile raise for a file that is truncated or no checkpoint; torch does not validate what it reads.
_BROKEN = (
    *(RuntimeError, OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, AssertionError, OverflowError),
    *(struct.error, zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error),
)
_MAGIC = 0x1950A86A20F9469CFC6C.to_bytes(10, "little")  # the number in the first pickle of a file of torch before 1.6


def read_checkpoint(path: Path, map_location: Any = "cpu") -> dict[str, Any]:
    """The content of a checkpoint, its tensors memory-mapped.

    UserError: no such file; truncated or damaged; no checkpoint of this program; or more than tensors and plain values.
    """
    checkpoint = _read(path, map_location)
    state = checkpoint.get("state_dict") if isinstance(checkpoint, dict) else None
    if not _of_tensors(state):
        raise UserError(f"{path} is not a checkpoint of this program: it has no state_dict of tensors")
    return checkpoint


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors in a file of `torch.save` (pytorch_model.bin), memory-mapped.

    UserError: no such file; truncated or damaged; or more than names and tensors.
    """
    state = _read(path, "cpu")
    if not _of_tensors(state):
        raise UserError(f"{path} holds something other than names and tensors")
    return state


def _of_tensors(state: Any) -> bool:
    """Whether a value is a mapping of names to tensors."""
    return isinstance(state, dict) and all(isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items())


def _read(path: Path, map_location: Any) -> Any:
    if not path.is_file():
        raise UserError(f"{path}: there is no such checkpoint")
    size = path.stat().st_size
    with open(path, "rb") as file:
        start = file.read(32)
    archive, pickled = start[:2] == b"PK", _MAGIC in start  # the layouts of torch since 1.6 and before
    try:
        if not archive and not pickled:
            raise ValueError
        if archive:
            check_archive(path)
            check_bytes(path)
        else:
            check_series(path)
        return torch.load(path, map_location=map_location, weights_only=True, mmap=archive)  # a pickled file cannot be mapped
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} was not loaded: it is damaged, or holds more than tensors and plain values and might run code.\n{_reason(error)}"
        ) from error
    except UserError:
        raise
    except _BROKEN as error:
        what = "is truncated or damaged" if archive or pickled else "is no file of torch.save"
        raise UserError(f"{path} {what} ({size:,} bytes). Is there another one in its folder?") from error


def _reason(error: Exception) -> str:
    """The line of torch's message that names the refused class."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if "GLOBAL" in line or "Unsupported" in line), lines[0])[:200]
