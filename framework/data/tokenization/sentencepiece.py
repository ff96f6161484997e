"""The tokenizer of a sentencepiece model, as one of the `tokenizers` library. Kudo and Richardson 2018, https://arxiv.org/abs/1808.06226"""

from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers

from framework.data.tokenization.sentencepiece_file import BPE, CONTROL, NORMAL, UNKNOWN, USER_DEFINED, SentencePieces, read_pieces
from framework.data.tokenization.special_tokens import Settings, algorithm
from framework.data.tokenization.tokenizer import add
from framework.data.tokenization.vocabulary_files import Built
from framework.errors import UserError

# Tokenizers and models of `transformers` whose ids are those of the file. Others move them (pegasus) or change the text first (albert).
T5 = "t5 mt5 umt5 longt5 switchtransformers".split()
PLAIN = [*T5, *"llama codellama mistral mixtral gemma gemma2 bigbird".split()]
SENTINELS = 100  # of T5: Raffel et al. 2020, section 3.1.4
SPACE = "▁"


def sentence_pieces(files: list[Path], settings: Settings) -> Built:
    """UserError: damaged, or made for another algorithm."""
    (path,) = files
    settings.check_algorithm(PLAIN, path)
    model = read_pieces(path)
    inner = tokenizers.Tokenizer(_by_merges(model) if model.algorithm == BPE else _by_likelihood(model))
    _split(inner, model, _characters(model, path))
    strip = [decoders.Strip(" ", left=1)] if model.prefix_space else []
    inner.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), *strip])
    add(inner, [AddedToken(token, special=True, normalized=False) for token in model.of_type(UNKNOWN, CONTROL)])
    add(inner, [AddedToken(token, special=False, normalized=False) for token in model.of_type(USER_DEFINED)])
    add(inner, [AddedToken(token, special=True, normalized=False) for token in sentinels(model, settings)])
    return inner, {role: model.pieces[id][0] for role, id in model.roles.items()}


def sentinels(model: SentencePieces, settings: Settings) -> list[str]:
    """T5's <extra_id_0>, ... in the order of their ids, which run backwards: the last entry of the table is <extra_id_0>."""
    listed = [token.content for token in settings.more if token.content.startswith("<extra_id_")]
    t5 = "begin" not in model.roles and {"padding", "end"} <= model.roles.keys() and algorithm(settings.algorithm) in ("", *T5)
    count = settings.options.get("extra_ids", len(listed) or (SENTINELS if t5 else 0))
    if type(count) is not int:
        raise UserError(f"{settings.folder}: extra_ids={count!r} in tokenizer_config.json is no number")
    return [f"<extra_id_{number}>" for number in reversed(range(count))]


def _by_likelihood(model: SentencePieces) -> models.Unigram:
    scores = [(text, score) for text, score, _ in model.pieces]
    return models.Unigram(scores, unk_id=model.roles["unknown"], byte_fallback=model.byte_fallback)


def _by_merges(model: SentencePieces) -> models.BPE:
    """A pair is joined if that makes a piece, the piece with the highest score first."""
    vocabulary = {text: id for id, (text, _, _) in enumerate(model.pieces)}
    scores = {text: score for text, score, type in model.pieces if type == NORMAL}
    cuts = [(text[:at], text[at:]) for text in scores for at in range(1, len(text)) if text[:at] in scores and text[at:] in scores]
    merges = sorted(cuts, key=lambda cut: (-scores[cut[0] + cut[1]], len(cut[0])))
    unknown = model.pieces[model.roles["unknown"]][0]
    return models.BPE(vocabulary, merges, unk_token=unknown, fuse_unk=True, byte_fallback=model.byte_fallback)


def _characters(model: SentencePieces, path: Path) -> list[normalizers.Normalizer]:
    """What characters become: full width and ligatures plain, line ends spaces, in most files."""
    if not model.charsmap:
        return []
    try:
        return [normalizers.Precompiled(model.charsmap)]
    except Exception as error:  # the library raises Exception itself
        raise UserError(f"{path} is damaged: its table of characters cannot be read: {error}") from None


def _split(inner: tokenizers.Tokenizer, model: SentencePieces, characters: list[normalizers.Normalizer]) -> None:
    """What happens to a text before pieces are looked for."""
    within_words = not any(SPACE in text[1:] for text in model.of_type(NORMAL, USER_DEFINED))
    if model.single_spaces and model.prefix_space and within_words:  # as `transformers` has T5's
        if characters:
            inner.normalizer = characters[0]
        inner.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")])
        return
    single = [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")] if model.single_spaces else []
    prefix = [normalizers.Prepend(SPACE)] if model.prefix_space else []
    if prefix and model.of_type(USER_DEFINED):  # the text comes in parts between such symbols, and the first alone has the space
        prefix = []
        inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    inner.normalizer = normalizers.Sequence([*characters, *single, *prefix, normalizers.Replace(" ", SPACE)])
