"""Tokenizers of sentencepiece models, built with the `tokenizers` library. Kudo and Richardson 2018, https://arxiv.org/abs/1808.06226"""

from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers

from framework.data.tokenization.description import GROWTH, charsmap_growth, library_error
from framework.data.tokenization.sentencepiece_file import BPE, CONTROL, NORMAL, UNKNOWN, USER_DEFINED, SentencePieceModel, read_model
from framework.data.tokenization.special_tokens import Settings, algorithm
from framework.data.tokenization.tokenizer import add_tokens
from framework.data.tokenization.vocabulary_files import Backend
from framework.errors import UserError

# Tokenizers and models of `transformers` with the ids of the file. Others shift them (pegasus) or normalize the text first (albert).
T5 = "t5 mt5 umt5 longt5 switchtransformers".split()
SUPPORTED = [*T5, *"llama codellama mistral mixtral gemma gemma2 bigbird".split()]
_MOST_SENTINELS = 100_000
SENTINELS = 100  # of T5: Raffel et al. 2020, section 3.1.4
SPACE = "▁"


def sentencepiece(files: list[Path], settings: Settings) -> Backend:
    """UserError: the file is damaged, or the folder is made for an unsupported tokenizer."""
    (path,) = files
    settings.check_algorithm(SUPPORTED, path)
    model = read_model(path)
    backend = tokenizers.Tokenizer(_bpe(model) if model.algorithm == BPE else _unigram(model))
    _set_normalization(backend, model, _character_map(model, path))
    strip = [decoders.Strip(" ", left=1)] if model.prefix_space else []
    backend.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), *strip])
    add_tokens(backend, [AddedToken(token, special=True, normalized=False) for token in model.of_type(UNKNOWN, CONTROL)])
    add_tokens(backend, [AddedToken(token, special=False, normalized=False) for token in model.of_type(USER_DEFINED)])
    add_tokens(backend, [AddedToken(token, special=True, normalized=False) for token in sentinels(model, settings)])
    return backend, {role: model.pieces[id][0] for role, id in model.roles.items()}


def sentinels(model: SentencePieceModel, settings: Settings) -> list[str]:
    """T5's <extra_id_0>, ... in the order of their ids, which is descending: <extra_id_0> has the last id."""
    listed = [token.content for token in settings.additional if token.content.startswith("<extra_id_")]
    t5 = "begin" not in model.roles and {"padding", "end"} <= model.roles.keys() and algorithm(settings.algorithm) in ("", *T5)
    count = settings.options.get("extra_ids", len(listed) or (SENTINELS if t5 else 0))
    if not 0 <= count <= _MOST_SENTINELS:
        raise UserError(f"{settings.folder}: extra_ids={count} in tokenizer_config.json must be a number of at most {_MOST_SENTINELS:,}")
    return [f"<extra_id_{number}>" for number in reversed(range(count))]


def _unigram(model: SentencePieceModel) -> models.Unigram:
    scores = [(text, score) for text, score, _ in model.pieces]
    return models.Unigram(scores, unk_id=model.roles["unknown"], byte_fallback=model.byte_fallback)


def _bpe(model: SentencePieceModel) -> models.BPE:
    """BPE merges pairs of pieces that form a piece, in the order of its score."""
    vocabulary = {text: id for id, (text, _, _) in enumerate(model.pieces)}
    scores = {text: score for text, score, type in model.pieces if type == NORMAL}
    pairs = [(text[:at], text[at:]) for text in scores for at in range(1, len(text)) if text[:at] in scores and text[at:] in scores]
    merges = sorted(pairs, key=lambda pair: (-scores[pair[0] + pair[1]], len(pair[0])))
    unknown = model.pieces[model.roles["unknown"]][0]
    return models.BPE(vocabulary, merges, unk_token=unknown, fuse_unk=True, byte_fallback=model.byte_fallback)


def _character_map(model: SentencePieceModel, path: Path) -> list[normalizers.Normalizer]:
    """The normalizer of characters; in most files NFKC with line breaks as spaces."""
    if not model.charsmap:
        return []
    if (factor := charsmap_growth(model.charsmap, path)) > GROWTH:
        raise UserError(f"{path}: its precompiled_charsmap can make a text {factor:,} times as long; at most {GROWTH} times is read")
    try:
        return [normalizers.Precompiled(model.charsmap)]
    except BaseException as error:
        raise library_error(error, f"{path} is damaged: its precompiled_charsmap cannot be read") from None


def _set_normalization(backend: tokenizers.Tokenizer, model: SentencePieceModel, character_map: list[normalizers.Normalizer]) -> None:
    """Set the normalizer and the pre-tokenizer."""
    within_words = not any(SPACE in text[1:] for text in model.of_type(NORMAL, USER_DEFINED))
    if model.single_spaces and model.prefix_space and within_words:  # as `transformers` builds T5's tokenizer
        if character_map:
            backend.normalizer = character_map[0]
        metaspace = pre_tokenizers.Metaspace(prepend_scheme="always")
        backend.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace])
        return
    single = [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")] if model.single_spaces else []
    prefix = [normalizers.Prepend(SPACE)] if model.prefix_space else []
    if prefix and model.of_type(USER_DEFINED):  # these symbols split the text, and only its first part has the space
        prefix = []
        backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    backend.normalizer = normalizers.Sequence([*character_map, *single, *prefix, normalizers.Replace(" ", SPACE)])
