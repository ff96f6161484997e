"""Sentencepiece models without sentencepiece: parsed as by its schema, encoded as by its published algorithms."""

import itertools

import pytest
from tokenizers import normalizers
from transformers.utils import sentencepiece_model_pb2_new as schema

from framework.data.tokenization.layouts import published_tokenizer
from framework.data.tokenization.sentencepiece_file import read_model
from framework.data.tokenization.tokenizer import BYTES
from framework.errors import UserError
from tests.data.published_toys import T5_TRAINER, TEXTS, UNIGRAM, WORDS, charsmap, field, sentencepiece_bytes, settled, t5_folder, varint

LETTERS = sorted({letter for word in WORDS for letter in word} | set("TI'LxyzABC▁,.-=+()[]{}<>/\\:%_?\n"))
MADE = "th ▁th ▁the at ▁c ▁cat ca in ing ▁▁ ▁▁▁▁ ch chas as chasing mi ce ▁a an </ s>".split()
LLAMA = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3), *((byte, 0.0, 6) for byte in BYTES)]
LLAMA += [(piece, -float(rank), 1) for rank, piece in enumerate([*MADE, *LETTERS])]
LLAMA_TRAINER = {3: 2, 35: 1, 40: 0, 41: 1, 42: 2, 43: -1}


def llama_folder(folder, normalizer=(), **options):
    """BPE with byte fallback, a space before the text, and all spaces kept."""
    values = sentencepiece_bytes(LLAMA, LLAMA_TRAINER, {3: 1, 4: 0} | dict(normalizer))
    (folder / "tokenizer.model").write_bytes(values)
    return settled(folder, **options)


def by_merges(text, before="▁"):
    """Sentencepiece's loop: merge the neighbors that form the piece with the highest score, leftmost first."""
    ids = {piece: id for id, (piece, _, _) in enumerate(LLAMA)}
    scores = {piece: score for piece, score, type in LLAMA if type == 1}
    symbols = list(before + text.replace(" ", "▁")) if text else []
    while True:
        pairs = [(-scores[a + b], at) for at, (a, b) in enumerate(itertools.pairwise(symbols)) if a + b in scores]
        if not pairs:
            break
        at = min(pairs)[1]
        symbols[at : at + 2] = [symbols[at] + symbols[at + 1]]
    return [
        id for symbol in symbols for id in ([ids[symbol]] if symbol in scores else [ids[f"<0x{byte:02X}>"] for byte in symbol.encode()])
    ]


def by_likelihood(word):
    """The best split of a word; unknown characters cost 10 more than the worst piece, and consecutive ones are a single piece."""
    scores = {piece: (score, id) for id, (piece, score, type) in enumerate(UNIGRAM) if type == 1}
    unknown = (min(score for score, _ in scores.values()) - 10, 2)
    best = [(0.0, [])]
    for end in range(1, len(word) + 1):
        ways = []
        for start in range(end):
            piece = word[start:end]
            if piece in scores or len(piece) == 1:
                score, id = scores.get(piece, unknown)
                ways.append((best[start][0] + score, [*best[start][1], id]))
        best.append(max(ways, key=lambda way: way[0]))
    return [id for id, group in itertools.groupby(best[-1][1]) for id in ([id] if id == 2 else group)]


def test_bytes_are_read_as_the_schema_reads_them(tmp_path):
    path = t5_folder(tmp_path) / "spiece.model"
    theirs = schema.ModelProto.FromString(path.read_bytes())
    ours = read_model(path)
    assert ours.pieces == [(piece.piece, piece.score, piece.type) for piece in theirs.pieces]
    assert ours.roles == {"end": 1, "padding": 0, "unknown": 2}
    assert ours.charsmap == theirs.normalizer_spec.precompiled_charsmap != b""
    assert (ours.algorithm, ours.byte_fallback) == (theirs.trainer_spec.model_type, theirs.trainer_spec.byte_fallback)
    assert (ours.prefix_space, ours.single_spaces) == (
        theirs.normalizer_spec.add_dummy_prefix,
        theirs.normalizer_spec.remove_extra_whitespaces,
    )


def test_what_the_schema_writes_is_read(tmp_path):
    """Written by protobuf, with the default values of absent fields."""
    model = schema.ModelProto()
    for text, score, type in LLAMA:
        model.pieces.add(piece=text, score=score, type=type)
    model.trainer_spec.model_type = 2
    model.trainer_spec.byte_fallback = True
    model.normalizer_spec.add_dummy_prefix = False
    model.self_test_data.samples.add(input="a", expected="a")
    (tmp_path / "tokenizer.model").write_bytes(model.SerializeToString())
    ours = read_model(tmp_path / "tokenizer.model")
    assert ours.pieces == [(piece.piece, piece.score, piece.type) for piece in model.pieces]
    assert ours.roles == {"begin": 1, "end": 2, "unknown": 0}
    assert (ours.algorithm, ours.byte_fallback, ours.prefix_space, ours.single_spaces) == (2, True, False, True)


def test_the_likeliest_split(tmp_path):
    ours = published_tokenizer(t5_folder(tmp_path, mapped=False))
    for text in TEXTS:
        assert ours.encode(text) == [id for word in text.split() for id in by_likelihood(f"▁{word}")], text


def test_merges_by_score(tmp_path):
    ours = published_tokenizer(llama_folder(tmp_path))
    for text in [*TEXTS, " leading", "    four", "the    cat", "the\n\ncat", "a</s>b"]:
        assert ours.encode(text) == by_merges(text), text
        assert ours.decode(ours.encode(text)) == text
        assert sum(ours.byte_lengths(ours.encode(text))) == len(text.encode())


def test_characters_are_mapped_first(tmp_path):
    table = {"Z": "c", "\t": " ", "X": "", "Q": "cat"}
    ours = published_tokenizer(t5_folder(tmp_path))
    assert ours.encode("Zat\tXZat") == ours.encode("cat cat")
    merged = published_tokenizer(llama_folder(tmp_path, normalizer={2: charsmap(table)}) / "tokenizer.model")
    assert merged.encode("Q\tZat") == by_merges("cat cat")
    assert normalizers.Precompiled(charsmap(table)).normalize_str("aQZXb") == "acatcb"  # the toy is valid


def test_spaces_are_collapsed_where_the_file_says_so(tmp_path):
    """Pieces across words: the text is not split, and spaces are single."""
    ours = published_tokenizer(llama_folder(tmp_path, normalizer={4: 1}))
    assert ours.encode("  the   cat ") == by_merges("the cat")
    bare = published_tokenizer(llama_folder(tmp_path, normalizer={3: 0}))
    assert bare.backend.encode("the").tokens == ["th", "e"] and bare.decode(bare.encode(" the")) == " the"


def test_likely_pieces_with_bytes_for_what_is_unknown(tmp_path):
    """Byte tokens are entries of the vocabulary, which no text may match."""
    pieces = [*UNIGRAM, *((byte, 0.0, 6) for byte in BYTES)]
    (tmp_path / "spiece.model").write_bytes(sentencepiece_bytes(pieces, {**T5_TRAINER, 35: 1}, {}))
    ours = published_tokenizer(tmp_path)
    for text in ("the cat", "the 语 cat", "a <0x41> b<0x0A>", "</s> <unk>"):
        ids = ours.encode(text)
        assert ours.decode(ids) == text and 2 not in ids
        assert sum(ours.byte_lengths(ids)) == len(text.encode())
    spelled = {f"<0x{byte:02X}>" for byte in "语".encode()}
    assert {ours.backend.id_to_token(id) for id in ours.encode("the 语 cat")} == {"▁the", "▁", "▁cat", *spelled}


def test_pieces_that_go_beyond_a_word(tmp_path):
    (tmp_path / "spiece.model").write_bytes(sentencepiece_bytes([*UNIGRAM, ("▁the▁cat", -1.0, 1)], T5_TRAINER, {}))
    ours = published_tokenizer(tmp_path)
    assert ours.backend.encode(" the   cat  the ").tokens == ["▁the▁cat", "▁the"]
    assert ours.decode(ours.encode("the cat the")) == "the cat the"


def test_symbols_of_the_user_are_found_in_text(tmp_path):
    (tmp_path / "spiece.model").write_bytes(sentencepiece_bytes([*UNIGRAM, ("<sym>", 0.0, 4)], T5_TRAINER, {}))
    ours = published_tokenizer(tmp_path)
    id = ours.backend.token_to_id("<sym>")
    assert id == len(UNIGRAM) and id in ours.encode("cat<sym>cat")
    assert ours.byte_lengths([3, id])[1] == len("<sym>")


def test_a_space_stands_before_a_text_and_not_before_its_parts(tmp_path):
    (tmp_path / "tokenizer.model").write_bytes(sentencepiece_bytes([*LLAMA, ("<sym>", 0.0, 4)], LLAMA_TRAINER, {4: 0}))
    ours = published_tokenizer(tmp_path)
    assert ours.encode("the<sym>cat") == [*by_merges("the"), len(LLAMA), *by_merges("cat", before="")]
    assert ours.encode("the cat") == by_merges("the cat")
    assert ours.decode(ours.encode("the<sym>cat")) == "the<sym>cat"


def test_sentinels_only_where_a_t5_is(tmp_path):
    assert published_tokenizer(llama_folder(tmp_path)).backend.token_to_id("<extra_id_0>") is None
    listed = [f"<extra_id_{number}>" for number in range(7)]
    ours = published_tokenizer(t5_folder(tmp_path, name="spiece.model", additional_special_tokens=listed))
    assert ours.vocab_size == len(UNIGRAM) + 7 and ours.backend.token_to_id("<extra_id_6>") == len(UNIGRAM)
    with pytest.raises(UserError, match="extra_ids is 'many' and must be an integer"):
        published_tokenizer(t5_folder(tmp_path, name="spiece.model", extra_ids="many"))


WHOLE = sentencepiece_bytes(UNIGRAM, T5_TRAINER, {})
DAMAGED = {
    "empty": (b"", "it has no pieces"),
    "text": (b"IQ== 0\nIg== 1\nIw== 2\n", "corrupt"),
    "cut off": (WHOLE[: len(WHOLE) // 2], "corrupt"),
    "endless number": (b"\xff" * 20, "corrupt"),
    "no unknown": (sentencepiece_bytes(UNIGRAM[:2] + UNIGRAM[3:], {}, {}), "it must have exactly one unknown piece"),
    "twice": (sentencepiece_bytes([*UNIGRAM, UNIGRAM[5]], {}, {}), "it has the same piece twice"),
    "words": (sentencepiece_bytes(UNIGRAM, {3: 3}, {}), "model_type must be unigram or bpe"),
    "suffixes": (sentencepiece_bytes(UNIGRAM, {24: 1}, {}), "treat_whitespace_as_suffix is not supported"),
    "no text": (field(1, field(2, 0.5)), "it has a piece without a text"),
    "not UTF-8": (sentencepiece_bytes(UNIGRAM, T5_TRAINER, {}) + field(1, field(1, b"\xff")), "invalid start byte"),
    "a number for a piece": (field(1, 5), "it has no pieces"),
    "short score": (field(1, field(1, "a") + varint(2 << 3 | 5) + b"\x01\x00"), "corrupt"),
    "characters": (sentencepiece_bytes(UNIGRAM, T5_TRAINER, {2: b"\x08\0\0\0garb"}), "its precompiled_charsmap cannot be read"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_models(name, tmp_path):
    content, message = DAMAGED[name]
    (tmp_path / "spiece.model").write_bytes(content)
    with pytest.raises(UserError, match=f"spiece.model is damaged.*({message})"):
        published_tokenizer(tmp_path)


def test_truncated_anywhere_it_is_an_error_or_a_smaller_model(tmp_path):
    path = tmp_path / "spiece.model"
    refused = 0
    for end in range(0, len(WHOLE), 7):
        path.write_bytes(WHOLE[:end])
        try:
            read_model(path)
        except UserError:
            refused += 1
    assert refused > 0.9 * len(range(0, len(WHOLE), 7))
