"""Reader of sentencepiece model files, without that library: https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from framework.errors import UserError
from framework.utils.json_files import read_bytes

NORMAL, UNKNOWN, CONTROL, USER_DEFINED = range(1, 5)  # ModelProto.SentencePiece.Type; the others are UNUSED and BYTE
LONGEST = 512  # characters of a piece; merges of BPE are found by trying every cut
UNIGRAM, BPE = 1, 2  # TrainerSpec.ModelType; the others are WORD and CHAR
SCHEMA = {  # message -> field -> number, type and default; the other fields are not read
    "SentencePiece": {"piece": (1, "BYTES", ""), "score": (2, "FLOAT", "0"), "type": (3, "INT32", "1")},
    "TrainerSpec": {
        "model_type": (3, "INT32", "1"),
        "treat_whitespace_as_suffix": (24, "BOOL", "false"),
        "byte_fallback": (35, "BOOL", "false"),
        "bos_id": (41, "INT32", "1"),
        "eos_id": (42, "INT32", "2"),
        "pad_id": (43, "INT32", "-1"),
    },
    "NormalizerSpec": {
        "precompiled_charsmap": (2, "BYTES", ""),
        "add_dummy_prefix": (3, "BOOL", "true"),
        "remove_extra_whitespaces": (4, "BOOL", "true"),
    },
}
MODEL = {
    "pieces": ("SentencePiece", "REPEATED"),
    "trainer_spec": ("TrainerSpec", "OPTIONAL"),
    "normalizer_spec": ("NormalizerSpec", "OPTIONAL"),
}


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
        return _model(_message_class().FromString(read_bytes(path)))
    except (ValueError, DecodeError) as error:  # UnicodeDecodeError is a ValueError
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} is damaged, or no sentencepiece model: {error}") from None


def _model(message: Any) -> SentencePieceModel:
    pieces = [(piece.piece.decode(), piece.score, piece.type) for piece in message.pieces]
    trainer, normalizer = message.trainer_spec, message.normalizer_spec
    if not pieces:
        raise ValueError("it has no pieces")
    if not all(text for text, _, _ in pieces):
        raise ValueError("it has a piece without a text")
    if (longest := max(len(text) for text, _, _ in pieces)) > LONGEST:
        raise ValueError(f"it has a piece of {longest:,} characters")
    if len({text for text, _, _ in pieces}) < len(pieces):
        raise ValueError("it has the same piece twice")
    if [type for _, _, type in pieces].count(UNKNOWN) != 1:
        raise ValueError("it must have exactly one unknown piece")
    if trainer.model_type not in (UNIGRAM, BPE):
        raise ValueError("its model_type must be unigram or bpe")
    if trainer.treat_whitespace_as_suffix:
        raise ValueError("treat_whitespace_as_suffix is not supported")
    ids = {"begin": trainer.bos_id, "end": trainer.eos_id, "padding": trainer.pad_id}  # -1 = none
    roles = {role: id for role, id in ids.items() if 0 <= id < len(pieces) and pieces[id][2] == CONTROL}
    roles["unknown"] = next(id for id, (_, _, type) in enumerate(pieces) if type == UNKNOWN)
    return SentencePieceModel(
        pieces,
        trainer.model_type,
        trainer.byte_fallback,
        roles,
        normalizer.precompiled_charsmap,
        normalizer.add_dummy_prefix,
        normalizer.remove_extra_whitespaces,
    )


@cache
def _message_class() -> Any:
    """The class of ModelProto, in a pool of its own: other packages may have registered the whole schema."""
    file = descriptor_pb2.FileDescriptorProto(name="sentencepiece_model.proto", package="sentencepiece")
    for message, fields in SCHEMA.items():
        description = file.message_type.add(name=message)
        for name, (number, type, default) in fields.items():
            description.field.add(name=name, number=number, type=f"TYPE_{type}", label="LABEL_OPTIONAL", default_value=default)
    description = file.message_type.add(name="ModelProto")
    for number, (name, (message, label)) in enumerate(MODEL.items(), 1):
        description.field.add(name=name, number=number, type="TYPE_MESSAGE", type_name=message, label=f"LABEL_{label}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("sentencepiece.ModelProto"))
