"""Toy files of published tokenizers: vocabularies, and sentencepiece models as bytes."""

import json
import struct
from pathlib import Path

from framework.data.tokenization.trainers import BPETokenizer, printable_bytes

WORDS = "the cat sat on a mat and naive cats were chasing mice over houses in café übermut again 123 a.b".split()
TEXTS = [
    "The cat sat on the mat, and the naïve cats were chasing mice.",
    "  two  spaces\tand tabs\nand lines \r\n at the end ",
    "",
    " ",
    "🎉 party 👩‍👩‍👧 🇩🇪 ✌🏽 done",
    "日本語 and 中文 和 한국어 ｆｕｌｌ　ｗｉｄｔｈ",
    "e\u0301 E\u0301 n\u0303 a\u0323\u0301 नमस्ते שָׁלוֹם",
    "bell\x07 null\x00 del\x7f nbsp\xa0zero\u200bwidth\ufeff line\u2028sep \ufffd",
    "a" * 100 + " " + "b" * 101,
    "chasing" * 31 + " " + "é" * 250,
    "it's I'LL we've 3.14 1,000 x=y+z -- (a) [b] {c} <d>",
    "cats CATS Cats thecat overthehouses",
]
# texts with the characters of special tokens, none of which may be encoded as one
SPELLED = [
    "[MASK] [CLS][SEP] [PAD] a[UNK]b",
    "<mask> <s></s> <pad>a<unk>",
    "<|endoftext|> a<|endoftext|>",
    "</s> <extra_id_0>a<extra_id_1> <0x41>",
]


def wordpiece_folder(folder: Path, names: tuple[str, ...] = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"), **options: object) -> Path:
    letters = sorted({letter for word in WORDS for letter in word} | set("eun.,日本<>[]()'sa"))
    pieces = [*WORDS, *letters, *(f"##{letter}" for letter in letters), "##s", "##ing", "Cats", "E", "##ï", "naïve", "naive", "ü"]
    (folder / "vocab.txt").write_text("\n".join(dict.fromkeys([*names, *pieces])) + "\n", encoding="utf-8")
    return settled(folder, **options)


def byte_level_folder(
    folder: Path, special: tuple[str, ...] = ("<|endoftext|>",), files: tuple[str, str] = ("vocab.json", "merges.txt"), **options: object
) -> Path:
    model = json.loads(BPETokenizer(400).train(lambda: [" ".join(WORDS * 3), *TEXTS]).to_json())["model"]
    merges = [tuple(pair) for pair in model["merges"]]
    vocabulary = dict.fromkeys([*printable_bytes(), *(left + right for left, right in merges), *special])
    (folder / files[0]).write_text(json.dumps({token: id for id, token in enumerate(vocabulary)}), encoding="utf-8")
    (folder / files[1]).write_text("#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in merges), encoding="utf-8")
    return settled(folder, **options)


def settled(folder: Path, **options: object) -> Path:
    if options:
        (folder / "tokenizer_config.json").write_text(json.dumps(options), encoding="utf-8")
    return folder


PIECES = [*(f"▁{word}" for word in WORDS), *"abcdefghilmnorstuvx", "▁", "ing", "chas", "at", "the", "/", "<", ">", "日本"]
UNIGRAM = [("<pad>", 0.0, 3), ("</s>", 0.0, 3), ("<unk>", 0.0, 2)]
UNIGRAM += [(text, -2.0 - 0.37 * number % 5 - 1.5 * (len(text) == 1), 1) for number, text in enumerate(PIECES)]


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | float | bytes | str) -> bytes:
    """One field of a protobuf message: https://protobuf.dev/programming-guides/encoding"""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def sentencepiece_bytes(pieces: list[tuple[str, float, int]], trainer: dict[int, int], normalizer: dict[int, int | bytes]) -> bytes:
    """A sentencepiece model file. trainer, normalizer: field number -> value."""
    listed = b"".join(field(1, field(1, text) + field(2, score) + (field(3, type) if type != 1 else b"")) for text, score, type in pieces)
    trained = field(1, "text of the authors") + b"".join(field(number, value) for number, value in trainer.items())
    normal = field(1, "nmt_nfkc") + b"".join(field(number, value) for number, value in normalizer.items())
    return listed + field(2, trained) + field(3, normal)


def charsmap(table: dict[str, str]) -> bytes:
    """A precompiled_charsmap for characters of one byte: a double array with one level, and the replacement texts."""
    units, texts = [0] * 1024, b""
    units[0] = 256 << 10  # the root's children lie behind here
    for key, value in table.items():
        code = ord(key)
        at, leaf = 256 ^ code, 512 + 2 * code
        units[at] = (at ^ leaf) << 10 | 1 << 8 | code
        units[leaf] = len(texts) | 1 << 31
        texts += value.encode() + b"\0"
    return struct.pack("<I", 4 * len(units)) + struct.pack(f"<{len(units)}I", *units) + texts


T5_TRAINER = {3: 1, 40: 2, 41: -1, 42: 1, 43: 0}


def t5_folder(folder: Path, name: str = "spiece.model", mapped: bool = True, **options: object) -> Path:
    normalizer: dict[int, int | bytes] = {2: charsmap({"Z": "c", "\t": " ", "X": ""})} if mapped else {}
    (folder / name).write_bytes(sentencepiece_bytes(UNIGRAM, T5_TRAINER, normalizer))
    return settled(folder, **options)
