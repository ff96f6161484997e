"""The tokenizer of a sentencepiece model, as one of the `tokenizers` library. Kudo and Richardson 2018, https://arxiv.org/abs/1808.06226"""

from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers

from framework.data.sentencepiece_file import BPE, CONTROL, NORMAL, UNKNOWN, USER_DEFINED, SentencePieces, read_pieces
from framework.data.special_tokens import Settings, mark_known
from framework.data.tokenizer import add
from framework.data.vocabulary_files import Built, check_algorithm
from framework.errors import UserError

# Classes of `transformers` whose ids are those of the file. Others move them (Pegasus) or prepare the text further (ALBERT).
PLAIN = "T5 MT5 Llama CodeLlama Gemma BigBird".split()
SENTINELS = 100  # of T5: Raffel et al. 2020, section 3.1.4
SPACE = "▁"


def sentence_pieces(files: list[Path], settings: Settings) -> Built:
    """UserError: damaged, or made for another algorithm."""
    (path,) = files
    check_algorithm(settings, PLAIN, path)
    model = read_pieces(path)
    inner = tokenizers.Tokenizer(_by_merges(model) if model.algorithm == BPE else _by_likelihood(model))
    try:
        _split(inner, model)
    except Exception as error:  # the library raises Exception itself
        raise UserError(f"{path} is damaged: its table of characters cannot be read: {error}") from None
    strip = [decoders.Strip(" ", left=1)] if model.prefix_space else []
    inner.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), *strip])
    add(inner, [AddedToken(token, special=True, normalized=False) for token in model.of_type(UNKNOWN, CONTROL)])
    add(inner, [AddedToken(token, special=False, normalized=False) for token in model.of_type(USER_DEFINED)])
    mark_known(inner)
    add(inner, [AddedToken(token, special=True, normalized=False) for token in sentinels(model, settings)])
    return inner, {role: model.pieces[id][0] for role, id in model.roles.items()}


def sentinels(model: SentencePieces, settings: Settings) -> list[str]:
    """T5's <extra_id_0>, ... in the order of their ids, which run backwards: the last entry of the table is <extra_id_0>."""
    listed = [token.content for token in settings.more if token.content.startswith("<extra_id_")]
    t5 = "begin" not in model.roles and {"padding", "end"} <= model.roles.keys() and settings.algorithm in ("", "T5", "MT5")
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


def _split(inner: tokenizers.Tokenizer, model: SentencePieces) -> None:
    """What happens to a text before pieces are looked for."""
    mapped = [normalizers.Precompiled(model.charsmap)] if model.charsmap else []
    within_words = not any(SPACE in text[1:] for text in model.of_type(NORMAL, USER_DEFINED))
    if model.single_spaces and model.prefix_space and within_words:  # as `transformers` has T5's
        inner.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")])
        if mapped:
            inner.normalizer = mapped[0]
        return
    single = [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")] if model.single_spaces else []
    prefix = [normalizers.Prepend(SPACE)] if model.prefix_space else []
    inner.normalizer = normalizers.Sequence([*mapped, *single, *prefix, normalizers.Replace(" ", SPACE)])
