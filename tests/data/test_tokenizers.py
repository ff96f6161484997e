"""Trained tokenizers: reproducible in any process, saved as tokenizer.json, and never encode text as special tokens."""

import json
import subprocess
import sys
import unicodedata

import pytest
import tokenizers

from framework.data.tokenization.pretrained import PretrainedTokenizer
from framework.data.tokenization.tokenizer import Tokenizer
from framework.data.tokenization.trainers import (
    SPECIAL_TOKENS,
    BPETokenizer,
    BytesTokenizer,
    CharactersTokenizer,
    UnigramTokenizer,
    WordpieceTokenizer,
    printable_bytes,
)
from framework.data.tokenization.words import WordsTokenizer
from framework.errors import UserError

TEXTS = [
    f"{subject} {verb} the {thing}, {again}."
    for subject in ("The cat", "A dog", "Übermut", "My brother", "nobody")
    for verb in ("chases", "paints", "forgets", "chased", "painting")
    for thing in ("house", "houses", "mouse", "mice", "naïve answer")
    for again in ("again", "over and over", "unwillingly")
]
STRANGE = "Zoë said:\r\n\t[MASK] [PAD] <0x41>  日本 🎉 \x07 end "
KINDS = {
    "wordpiece": WordpieceTokenizer(vocab_size=110),
    "bpe": BPETokenizer(vocab_size=400),
    "unigram": UnigramTokenizer(vocab_size=320),
    "characters": CharactersTokenizer(),
    "bytes": BytesTokenizer(),
    "words": WordsTokenizer(),
}
EXACT = ("bpe", "unigram", "characters", "bytes")  # wordpiece changes case and spaces, words have single blanks between them


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def tokenizer(kind):
    return KINDS[kind].train(lambda: iter(TEXTS))


def test_special_tokens_come_first(tokenizer):
    assert tokenizer.special_ids == {"padding": 0, "begin": 1, "end": 2, "unknown": 3, "mask": 4}
    assert [tokenizer.backend.id_to_token(id) for id in range(5)] == list(SPECIAL_TOKENS)


def test_saved_and_loaded_it_is_the_same(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "tokenizer.json")
    loaded = Tokenizer.load(tmp_path / "tokenizer.json")
    assert loaded.to_json() == tokenizer.to_json()
    assert [loaded.encode(text) for text in (*TEXTS, STRANGE)] == [tokenizer.encode(text) for text in (*TEXTS, STRANGE)]
    assert loaded.vocab_size == tokenizer.vocab_size
    assert loaded.special_ids == tokenizer.special_ids


def test_a_text_is_never_a_special_token(tokenizer):
    special = {id for name, id in tokenizer.special_ids.items() if name != "unknown"}
    assert not special & set(tokenizer.encode("".join(SPECIAL_TOKENS) + " " + " ".join(SPECIAL_TOKENS)))


@pytest.mark.parametrize("kind", EXACT)
def test_any_text_comes_back_exactly(tokenizer):
    for text in (*TEXTS, STRANGE, "", " ", "\n"):
        assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("kind", EXACT)
def test_byte_lengths_add_up(tokenizer):
    for text in (*TEXTS, STRANGE):
        assert sum(tokenizer.byte_lengths(tokenizer.encode(text))) == len(text.encode())
    assert tokenizer.byte_lengths(range(5)) == [0] * 5


def test_wordpiece_byte_lengths_are_those_of_the_pieces():
    tokenizer = KINDS["wordpiece"].train(lambda: TEXTS)
    text = "thehouses"
    assert len(tokenizer.encode(text)) > 1
    assert sum(tokenizer.byte_lengths(tokenizer.encode(text))) == len(text)


def test_offsets_point_into_the_text(tokenizer):
    ids, offsets = tokenizer.encode_with_offsets(TEXTS[0])
    assert ids == tokenizer.encode(TEXTS[0])
    assert len(offsets) == len(ids)
    covered = "".join(TEXTS[0][start:end] for start, end in offsets)
    assert covered.replace(" ", "") == TEXTS[0].replace(" ", "")


def test_decoding_leaves_special_tokens_out(tokenizer):
    ids = tokenizer.encode(TEXTS[0])
    assert tokenizer.decode([1, *ids, 2, 0, 0]) == tokenizer.decode(ids)


@pytest.mark.parametrize("kind", ["wordpiece", "bpe", "unigram"])
def test_the_vocabulary_is_as_large_as_asked_and_pieces_are_learned(kind, tokenizer):
    asked = KINDS[kind].vocab_size
    assert 0.8 * asked < tokenizer.vocab_size <= asked
    assert len(tokenizer.encode(TEXTS[0])) < len(TEXTS[0]) / 2


LEARNED = ["wordpiece", "bpe", "unigram", "characters", "words"]


@pytest.fixture(scope="module")
def elsewhere():
    """The tokenizers that two other processes train, by kind. Hash seeds differ between processes, so any dependence on the order of hash
    tables shows."""
    code = "import json; from tests.data.test_tokenizers import *; print(json.dumps({kind: trained(kind) for kind in LEARNED}))"
    command = [sys.executable, "-X", "utf8", "-c", code]
    return [json.loads(subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout) for _ in range(2)]


def trained(kind):
    return KINDS[kind].train(lambda: TEXTS).to_json()


@pytest.mark.parametrize("kind", LEARNED)
def test_another_process_trains_the_same(kind, tokenizer, elsewhere):
    for other in elsewhere:
        assert other[kind] == tokenizer.to_json()


def test_wordpiece_options():
    def first(**values):
        tokenizer = WordpieceTokenizer(vocab_size=300, **values).train(lambda: TEXTS)
        return tokenizer.backend.encode("Übermut", add_special_tokens=False).tokens

    assert "".join(first()).replace("##", "") == "übermut"
    assert "".join(first(strip_accents=True)).replace("##", "") == "ubermut"
    assert "".join(first(lowercase=False)).replace("##", "") == "Übermut"


def test_lowercase_elsewhere():
    for cls in (BPETokenizer, UnigramTokenizer, CharactersTokenizer, WordsTokenizer):
        tokenizer = cls(lowercase=True).train(lambda: TEXTS)
        assert tokenizer.decode(tokenizer.encode("The CAT")) == "the cat"


def test_bpe_prefix_space_makes_the_first_word_like_others():
    tokenizer = BPETokenizer(vocab_size=400, prefix_space=True).train(lambda: TEXTS)
    assert tokenizer.encode("house") == tokenizer.encode("a house")[-len(tokenizer.encode("house")) :]


def test_unseen_characters_may_be_unknown():
    tokenizer = CharactersTokenizer(unseen="unknown").train(lambda: ["abc"])
    assert tokenizer.vocab_size == 8
    assert tokenizer.encode("abxc") == [5, 6, 3, 7]


def test_bytes_are_numbered_in_order():
    tokenizer = BytesTokenizer().train(list)
    assert tokenizer.vocab_size == 261
    assert tokenizer.encode("aß") == [5 + byte for byte in "aß".encode()]
    assert len(set(printable_bytes())) == 256


def test_a_pretrained_tokenizer_from_a_file_or_a_folder(tmp_path):
    trained = KINDS["bpe"].train(lambda: TEXTS)
    trained.save(tmp_path / "tokenizer.json")
    for file in (tmp_path, tmp_path / "tokenizer.json"):
        assert PretrainedTokenizer(str(file)).train(list).to_json() == trained.to_json()


def test_published_names_of_special_tokens_are_known(tmp_path):
    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[CLS]": 0, "[SEP]": 1, "<pad>": 2, "<unk>": 3, "a": 6}, unk_token="<unk>"))
    inner.enable_padding()
    inner.enable_truncation(1)
    inner.save(str(tmp_path / "tokenizer.json"))
    tokenizer = PretrainedTokenizer(str(tmp_path)).train(list)
    assert tokenizer.special_ids == {"padding": 2, "begin": 0, "end": 1, "unknown": 3, "mask": None}
    assert tokenizer.vocab_size == 7


def test_pretrained_files_that_are_none(tmp_path):
    with pytest.raises(UserError, match="tokenizer=pretrained needs tokenizer.file=FOLDER of a published model"):
        PretrainedTokenizer().train(list)
    with pytest.raises(UserError, match="nowhere.json does not exist: .* a model on the Hugging Face Hub"):
        PretrainedTokenizer(str(tmp_path / "nowhere.json")).train(list)
    with pytest.raises(UserError, match="nowhere.json does not exist and must be a tokenizer.json of the `tokenizers` library"):
        Tokenizer.load(tmp_path / "nowhere.json")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match="is not a tokenizer.json of the `tokenizers` library"):
        PretrainedTokenizer(str(tmp_path)).train(list)


SCRIPTS = {
    "thai": "กรุงเทพมหานครเป็นเมืองหลวงน้ำ" * 5,  # 145 characters without a blank
    "han": "他住在深圳。" * 20,
    "kana": "東京タワーに行く" * 15,
    "khmer": "ភាសាខ្មែរ" * 14,
    "myanmar": "မြန်မာစာ" * 16,
    "a word": "acgt" * 60,
    "devanagari": "वह दिल्ली बहुत अच्छा शहर है",
    "decomposed": "cafe\u0301 Zoe\u0308",
    "hangul": "서울에 갑니다",
}


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("kind", KINDS)
def test_texts_of_any_script_are_known_to_the_tokenizer_that_was_trained_on_them(kind, script):
    text = SCRIPTS[script]
    tokenizer = KINDS[kind].train(lambda: [text, text])
    ids = tokenizer.encode(text)
    assert tokenizer.special_ids["unknown"] not in ids
    decoded = tokenizer.decode(ids)
    expected = unicodedata.normalize("NFC", text).lower() if kind == "wordpiece" else text
    assert decoded.replace(" ", "") == expected.replace(" ", "") and (script == "a word" or decoded == expected)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("น้ำดี ok", ["น้ำ", "ดี", "ok"]),
        ("東京abc", ["東", "京", "abc"]),
        ("दिल्ली!", ["दिल्ली", "!"]),
    ],
)
def test_wordpiece_takes_each_character_of_a_script_without_blanks_as_a_word(text, tokens):
    splitter = KINDS["wordpiece"].train(lambda: TEXTS).backend.pre_tokenizer
    assert [word for word, _ in splitter.pre_tokenize_str(text)] == tokens


def test_wordpiece_splits_a_long_word_where_others_make_it_unknown():
    tokenizer = KINDS["wordpiece"].train(lambda: [*TEXTS, "a" * 300])
    assert [len(word) for word, _ in tokenizer.backend.pre_tokenizer.pre_tokenize_str("a" * 250)] == [100, 100, 50]
    assert 3 not in tokenizer.encode("a" * 5000)


def test_wordpiece_reads_decomposed_letters_like_composed_ones():
    tokenizer = WordpieceTokenizer(vocab_size=300).train(lambda: TEXTS)
    assert tokenizer.encode("U\u0308bermut") == tokenizer.encode("Übermut")
    assert tokenizer.encode_with_offsets("U\u0308bermut")[1][-1][1] == len("U\u0308bermut")


def test_bpe_splits_latin_texts_as_gpt2_and_keeps_marks_with_their_letters():
    ours = KINDS["bpe"].train(lambda: TEXTS).backend.pre_tokenizer
    gpt2 = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    for text in (*TEXTS, "Anna's at  home\n\n it  isn't 3.14, U.S. [MASK]  ", "Übermut 日本語 한국어 русский ½ 🎉", STRANGE):
        assert ours.pre_tokenize_str(text) == gpt2.pre_tokenize_str(text)
    for text in ("दिल्ली बहुत", "กรุงเทพ น้ำ", "שָׁלוֹם קَ", "cafe\u0301 e\u0302", "می\u200cخواهم a"):
        assert len(ours.pre_tokenize_str(text)) == 2 < len(gpt2.pre_tokenize_str(text))


def test_bpe_prefix_space_is_put_before_a_text_that_has_none():
    tokenizer = BPETokenizer(vocab_size=400, prefix_space=True).train(lambda: TEXTS)
    assert tokenizer.encode("house") == tokenizer.encode(" house") != tokenizer.encode("  house")
    assert sum(tokenizer.byte_lengths(tokenizer.encode("house again"))) == len("house again")


def test_words_are_those_between_blanks_and_the_commonest_are_kept():
    tokenizer = WordsTokenizer(vocab_size=8).train(lambda: ["one  two\tI_JUMP (", "one I_JUMP", "one two I_JUMP"])
    encoded = tokenizer.encode("one I_JUMP two ( three")
    assert encoded[3:] == [tokenizer.special_ids["unknown"]] * 2 and len(set(encoded[:3])) == 3
    assert tokenizer.decode(encoded[:3]) == "one I_JUMP two" and tokenizer.encode("one\n two") == [encoded[0], encoded[2]]
    assert WordsTokenizer(lowercase=True).train(lambda: ["One one"]).vocab_size == 6
