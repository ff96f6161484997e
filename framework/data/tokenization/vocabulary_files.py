"""Tokenizers of vocabulary files: BERT's `vocab.txt`, and the vocabulary and merges of GPT-2, RoBERTa and BART."""

from pathlib import Path

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers

from framework.data.tokenization.description import LARGEST_ID
from framework.data.tokenization.special_tokens import Settings, mark_known_special_tokens
from framework.data.tokenization.trainers import printable_bytes
from framework.errors import UserError
from framework.utils.json_files import read_bytes, read_table

# The files do not define how text is split. These tokenizers and models of `transformers` split it as below; clip and qwen2 do not.
WORDPIECE = "bert distilbert electra mobilebert squeezebert convbert layoutlm layoutlmv2 lxmert funnel splinter mpnet megatronbert".split()
BYTE_LEVEL = "gpt2 roberta bart longformer led blenderbot deberta mvp gptneo gptj opt codegen".split()
Backend = tuple[tokenizers.Tokenizer, dict[str, str | None]]  # a tokenizer, and role -> special token as far as its own file names them


def wordpiece(files: list[Path], settings: Settings) -> Backend:
    """WordPiece vocabulary: one entry a line, `##` before entries inside a word. Devlin et al. 2019, https://arxiv.org/abs/1810.04805

    UserError: the file is damaged, has no unknown token, or the folder is made for an unsupported tokenizer.
    """
    (path,) = files
    settings.check_algorithm(WORDPIECE, path)
    lines = read_text(path).removesuffix("\n").split("\n")
    vocabulary = {line.rstrip(): id for id, line in enumerate(lines)}
    named = settings.tokens.get("unk_token")
    unknown = "[UNK]" if named is None else named.content
    if unknown not in vocabulary:
        raise UserError(
            f"{path} has no entry {unknown} for unknown words among {len(lines):,} lines: it must be a WordPiece vocabulary. "
            "If the entry has another name, set unk_token in tokenizer_config.json"
        )
    options = settings.options
    backend = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token=unknown, max_input_chars_per_word=100))
    backend.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=bool(options.get("tokenize_chinese_chars", True)),
        strip_accents=options.get("strip_accents"),  # None = if lowercase
        lowercase=bool(options.get("do_lower_case", True)),
    )
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece(prefix="##")
    mark_known_special_tokens(backend)
    return backend, {}


def byte_level(files: list[Path], settings: Settings) -> Backend:
    """Byte-level BPE. Radford et al. 2019, section 2.2; https://github.com/openai/gpt-2

    UserError: a file is damaged, the files do not belong together, or the folder is made for an unsupported tokenizer.
    """
    vocabulary_file, merges_file = files
    settings.check_algorithm(BYTE_LEVEL, vocabulary_file)
    vocabulary, merges = read_vocabulary(vocabulary_file), read_merges(merges_file)
    check_together(vocabulary, merges, vocabulary_file, merges_file)
    backend = tokenizers.Tokenizer(models.BPE(vocabulary, merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=bool(settings.options.get("add_prefix_space", False)))
    backend.decoder = decoders.ByteLevel()
    mark_known_special_tokens(backend)
    return backend, {}


def read_vocabulary(path: Path) -> dict[str, int]:
    vocabulary = read_table(path)
    if not all(type(id) is int and 0 <= id <= LARGEST_ID for id in vocabulary.values()):
        raise UserError(f"{path} is damaged: it must be an object of tokens and their ids")
    if len(set(vocabulary.values())) < len(vocabulary):
        raise UserError(f"{path} is damaged: several of its tokens have the same id")
    return vocabulary


def read_merges(path: Path) -> list[tuple[str, str]]:
    lines = read_text(path).split("\n")
    merges = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or (number == 1 and line.startswith("#version")):
            continue
        match line.rstrip("\r").split(" "):
            case [left, right] if left and right:
                merges.append((left, right))
            case _:
                raise UserError(f"{path} is damaged: line {number} must be two tokens with a space between them: {line[:60]!r}")
    return merges


def check_together(vocabulary: dict[str, int], merges: list[tuple[str, str]], vocabulary_file: Path, merges_file: Path) -> None:
    """UserError: a byte or a merge has no entry, or more entries than there are special tokens are no merge."""
    missing = [character for character in printable_bytes() if character not in vocabulary]
    if missing:
        raise UserError(
            f"{vocabulary_file} is no byte-level vocabulary: {len(missing)} of 256 bytes have no entry, the first {missing[0]!r}"
        )
    for left, right in merges:
        absent = next((token for token in (left, right, left + right) if token not in vocabulary), None)
        if absent is not None:
            raise UserError(
                f"{merges_file} does not belong to {vocabulary_file}: it merges {left!r} and {right!r}, and {absent!r} is no entry"
            )
    unmerged = len(vocabulary.keys() - {left + right for left, right in merges} - set(printable_bytes()))
    if unmerged > 16 + len(vocabulary) // 100:
        raise UserError(
            f"{merges_file} does not belong to {vocabulary_file}, or is truncated: {unmerged:,} of {len(vocabulary):,} entries lack a merge"
        )


def read_text(path: Path) -> str:
    """UserError: the file is not UTF-8, or empty."""
    try:
        text = read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is damaged: it is not UTF-8 ({error.reason} at byte {error.start:,})") from None
    if not text.strip():
        raise UserError(f"{path} is damaged: it is empty")
    return text
