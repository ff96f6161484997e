"""Reader of sentencepiece model files, without that library: https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from framework.errors import UserError

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)  # ModelProto.SentencePiece.Type
UNIGRAM, BPE = 1, 2  # TrainerSpec.ModelType; the others are WORD and CHAR
Value = int | bytes


@dataclass(frozen=True)
class SentencePieceModel:
    """pieces: text, score and type of each id. roles: role of a special token -> its id, if the file has one.
    charsmap: precompiled_charsmap, the compiled character normalization.
    prefix_space, single_spaces: add_dummy_prefix and remove_extra_whitespaces."""

    pieces: list[tuple[str, float, int]]
    algorithm: int
    byte_fallback: bool
    roles: dict[str, int]
    charsmap: bytes
    prefix_space: bool
    single_spaces: bool

    def of_type(self, *types: int) -> list[str]:
        return [text for text, _, type in self.pieces if type in types]


def read_model(path: Path) -> SentencePieceModel:
    """UserError: the file is damaged, is no sentencepiece model, or needs a feature that the `tokenizers` library lacks."""
    try:
        return _model(path.read_bytes())
    except (ValueError, struct.error) as error:  # UnicodeDecodeError is a ValueError
        raise UserError(f"{path} is damaged, or no sentencepiece model: {error}") from None


def _model(data: bytes) -> SentencePieceModel:
    pieces: list[tuple[str, float, int]] = []
    trainer: dict[int, Value] = {}
    normalizer: dict[int, Value] = {}
    for number, value in fields(data):
        if number == 1:
            pieces.append(_piece(_bytes(value)))
        elif number == 2:
            trainer = dict(fields(_bytes(value)))
        elif number == 3:
            normalizer = dict(fields(_bytes(value)))
    if not pieces:
        raise ValueError("it has no pieces")
    if len({text for text, _, _ in pieces}) < len(pieces):
        raise ValueError("it has the same piece twice")
    if [type for _, _, type in pieces].count(UNKNOWN) != 1:
        raise ValueError("it must have exactly one unknown piece")
    algorithm = _number(trainer, 3, UNIGRAM)
    if algorithm not in (UNIGRAM, BPE):
        raise ValueError("its model_type must be unigram or bpe")
    if _number(trainer, 24, 0):
        raise ValueError("treat_whitespace_as_suffix is not supported")
    ids = {"begin": _number(trainer, 41, 1), "end": _number(trainer, 42, 2), "padding": _number(trainer, 43, -1)}
    # -1 stands for none and is written as the largest number of 64 bits
    roles = {role: id for role, id in ids.items() if 0 <= id < len(pieces) and pieces[id][2] == CONTROL}
    roles["unknown"] = next(id for id, (_, _, type) in enumerate(pieces) if type == UNKNOWN)
    charsmap = _bytes(normalizer.get(2, b""))
    prefix_space, single_spaces = bool(_number(normalizer, 3, 1)), bool(_number(normalizer, 4, 1))
    return SentencePieceModel(pieces, algorithm, bool(_number(trainer, 35, 0)), roles, charsmap, prefix_space, single_spaces)


def _piece(data: bytes) -> tuple[str, float, int]:
    values = dict(fields(data))
    text = _bytes(values.get(1, b"")).decode("utf-8")
    if not text:
        raise ValueError("it has a piece without a text")
    return text, struct.unpack("<f", _bytes(values.get(2, bytes(4))))[0], _number(values, 3, NORMAL)


def _number(values: dict[int, Value], number: int, default: int) -> int:
    value = values.get(number, default)
    if not isinstance(value, int):
        raise ValueError(f"field {number} is no number")
    return value


def _bytes(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("a field with bytes has a number")
    return value


def fields(data: bytes) -> Iterator[tuple[int, Value]]:
    """Number and value of each field of a protocol buffer message. ValueError: the data is truncated or no message.
    Wire format: https://protobuf.dev/programming-guides/encoding"""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == 2:
            size, at = _varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"no field begins at byte {at:,}")
        if not number or at + size > len(data):
            raise ValueError(f"it is truncated or garbled at byte {at:,}")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("it is truncated")
        byte = data[at]
        value, at = value | (byte & 0x7F) << shift, at + 1
        if byte < 0x80:
            return value, at
    raise ValueError(f"no number ends at byte {at:,}")
