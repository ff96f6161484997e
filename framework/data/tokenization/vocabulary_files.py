"""Tokenizers of vocabulary files: BERT's `vocab.txt`, and the vocabulary and merges of GPT-2, RoBERTa and BART."""

import json
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers

from framework.data.tokenization.special_tokens import Settings, mark_known
from framework.data.tokenization.trainers import printable_bytes
from framework.errors import UserError

# The files do not say how text is split. Tokenizers and models of `transformers` that split as we do; bertjapanese, clip, qwen2 do not.
WORDPIECE = "bert distilbert electra mobilebert squeezebert convbert layoutlm layoutlmv2 lxmert funnel splinter mpnet megatronbert".split()
BYTE_LEVEL = "gpt2 roberta bart longformer led blenderbot deberta mvp gptneo gptj opt codegen".split()
Built = tuple[tokenizers.Tokenizer, dict[str, str | None]]  # a tokenizer, and the special tokens that its own file names


def wordpiece(files: list[Path], settings: Settings) -> Built:
    """One entry a line, `##` before those that continue a word. Devlin et al. 2019, https://arxiv.org/abs/1810.04805

    UserError: damaged, no entry for unknown words, or made for another algorithm.
    """
    (path,) = files
    settings.check_algorithm(WORDPIECE, path)
    lines = read_text(path).removesuffix("\n").split("\n")
    vocabulary = {line.rstrip(): id for id, line in enumerate(lines)}
    unknown = settings.token("unk_token", "[UNK]")
    if unknown not in vocabulary:
        raise UserError(
            f"{path} has no entry {unknown} for unknown words ({len(lines):,} lines); is it the vocabulary of a WordPiece tokenizer? "
            "If the entry has another name: unk_token in tokenizer_config.json"
        )
    options = settings.options
    inner = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token=unknown, max_input_chars_per_word=100))
    inner.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=bool(options.get("tokenize_chinese_chars", True)),
        strip_accents=options.get("strip_accents"),  # None = where letters are lowered
        lowercase=bool(options.get("do_lower_case", True)),
    )
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.decoder = decoders.WordPiece(prefix="##")
    mark_known(inner)
    return inner, {}


def byte_level(files: list[Path], settings: Settings) -> Built:
    """Byte pairs over the bytes of UTF-8. Radford et al. 2019, section 2.2; https://github.com/openai/gpt-2

    UserError: damaged, files that do not belong together, or made for another algorithm.
    """
    table, rules = files
    settings.check_algorithm(BYTE_LEVEL, table)
    vocabulary, merges = read_vocabulary(table), read_merges(rules)
    check_together(vocabulary, merges, table, rules)
    inner = tokenizers.Tokenizer(models.BPE(vocabulary, merges))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=bool(settings.options.get("add_prefix_space", False)))
    inner.decoder = decoders.ByteLevel()
    mark_known(inner)
    return inner, {}


def read_vocabulary(path: Path) -> dict[str, int]:
    try:
        vocabulary: Any = json.loads(read_text(path))
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}") from None
    if not isinstance(vocabulary, dict) or not all(type(id) is int and id >= 0 for id in vocabulary.values()):
        raise UserError(f"{path} is damaged: it is no table of tokens and their ids")
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
                raise UserError(f"{path} is damaged: line {number} is no pair of tokens with a blank between them: {line[:60]!r}")
    return merges


def check_together(vocabulary: dict[str, int], merges: list[tuple[str, str]], table: Path, rules: Path) -> None:
    """Every byte and all that is merged are entries, and what is an entry is merged: but for special tokens, which are few."""
    lacking = [character for character in printable_bytes() if character not in vocabulary]
    if lacking:
        raise UserError(f"{table} is no vocabulary over bytes: {len(lacking)} of the 256 have no entry, the first {lacking[0]!r}")
    for left, right in merges:
        lost = next((token for token in (left, right, left + right) if token not in vocabulary), None)
        if lost is not None:
            raise UserError(f"{rules} does not belong to {table}: it merges {left!r} and {right!r}, and {lost!r} is no entry there")
    unmade = len(vocabulary.keys() - {left + right for left, right in merges} - set(printable_bytes()))
    if unmade > 16 + len(vocabulary) // 100:
        raise UserError(f"{rules} does not belong to {table}, or is cut off: {unmade:,} of {len(vocabulary):,} entries cannot be merged")


def read_text(path: Path) -> str:
    """UserError: not UTF-8, or empty."""
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is damaged: it is not UTF-8 ({error.reason} at byte {error.start:,})") from None
    if not text.strip():
        raise UserError(f"{path} is damaged: it is empty")
    return text
