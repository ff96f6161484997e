"""Checksums of tensors, by which a byte that changed on disk is noticed. They protect against damage, not against somebody who wants to
deceive: whoever changes a weight on purpose can change its checksum too.
"""

import json
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from framework.errors import UserError
from framework.utils.json_files import parse_json
from framework.utils.typed import fits

if TYPE_CHECKING:
    from torch import Tensor

KEY = "crc32"  # in the table of strings of a safetensors file: name of a tensor -> its checksum, as JSON


def checksum(tensor: "Tensor", before: int = 0) -> int:
    """CRC-32 of the bytes of a tensor, about 2 GB a second. before: the checksum of the rows before it."""
    import torch

    data = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data  # no copy
    return zlib.crc32(data, before)


def checksums(tensors: "Mapping[str, Tensor]") -> str:
    """The checksums of tensors, for the header of their file."""
    return json.dumps({name: checksum(tensor) for name, tensor in tensors.items()})


def recorded(metadata: Mapping[str, str], where: object) -> dict[str, int]:
    """The checksums in the header of a file; none in a file of other programs. UserError: they are damaged."""
    found = parse_json(metadata.get(KEY, "{}"), where)
    if not fits(found, dict[str, int]):
        raise UserError(f"{where} is damaged: the checksums in its header are none")
    return dict(found)


def compare(name: str, found: int, expected: int | None, where: object) -> None:
    """UserError: a tensor is not what was written. expected: None = its file has no checksum of it."""
    if expected not in (None, found):
        raise UserError(
            f"{where} has changed since it was written, or is damaged: the bytes of {name} do not have their checksum.\n"
            "Copy the file again from where it came from, or export the run again"
        )
