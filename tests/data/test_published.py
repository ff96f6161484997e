"""Published tokenizers in all their layouts give the ids of `transformers`, and damaged ones say what is wrong."""

import json

import pytest
import tokenizers
import transformers.convert_slow_tokenizer
from transformers import BertTokenizer, GPT2Tokenizer, LlamaTokenizer, RobertaTokenizer, T5Tokenizer

from framework.data.pretrained import PretrainedTokenizer
from framework.data.published import LAYOUTS, published_tokenizer
from framework.data.tokenizer import Tokenizer
from framework.data.tokenizers import BPETokenizer
from framework.errors import UserError
from tests.data.published_toys import SPELLED, TEXTS, byte_level_folder, t5_folder, wordpiece_folder
from tests.data.test_sentencepiece import llama_folder

ROBERTA = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
CASES = {
    "BERT": (wordpiece_folder, {}, BertTokenizer),
    "BERT, cased": (wordpiece_folder, {"do_lower_case": False}, BertTokenizer),
    "BERT, accents kept": (wordpiece_folder, {"strip_accents": False, "tokenize_chinese_chars": False}, BertTokenizer),
    "BERT, names of its own": (
        wordpiece_folder,
        {"names": ("<pad>", "<unk>", "<s>", "</s>", "<m>"), "unk_token": "<unk>", "pad_token": "<pad>", "cls_token": "<s>"}
        | {"sep_token": "</s>", "mask_token": "<m>"},
        BertTokenizer,
    ),
    "GPT-2": (byte_level_folder, {}, GPT2Tokenizer),
    "GPT-2, a space before": (byte_level_folder, {"add_prefix_space": True}, GPT2Tokenizer),
    "GPT-2, padding added": (byte_level_folder, {"pad_token": "[PAD]", "unk_token": "<|endoftext|>"}, GPT2Tokenizer),
    "RoBERTa": (byte_level_folder, {"special": ROBERTA}, RobertaTokenizer),
    "T5": (t5_folder, {}, T5Tokenizer),
    "T5, fewer sentinels": (t5_folder, {"extra_ids": 3}, T5Tokenizer),
    "T5, characters as they are": (t5_folder, {"mapped": False}, T5Tokenizer),
    "Llama": (llama_folder, {}, LlamaTokenizer),
}


@pytest.fixture(autouse=True)
def no_sentencepiece(monkeypatch):
    """transformers reads such a file with protobuf alone, but asks whether the library is there."""
    monkeypatch.setattr(transformers.convert_slow_tokenizer, "requires_backends", lambda *_: None)


@pytest.fixture(params=CASES)
def case(request, tmp_path):
    """Ours, and that of transformers from the same folder."""
    write, values, theirs = CASES[request.param]
    folder = write(tmp_path, **values)
    return published_tokenizer(folder), theirs.from_pretrained(folder)


def test_the_ids_are_those_of_transformers(case):
    ours, theirs = case
    # sentencepiece puts a space before a text that begins with one too (tests/data/test_sentencepiece.py); LlamaTokenizer does not
    for text in (text for text in TEXTS if not (isinstance(theirs, LlamaTokenizer) and text.startswith(" "))):
        assert ours.encode(text) == theirs.encode(text, add_special_tokens=False), text
    assert len({id for text in TEXTS for id in ours.encode(text)}) > 25


def test_what_is_decoded_is_the_same(case):
    ours, theirs = case
    for text in TEXTS:
        ids = ours.encode(text)
        assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=True), text


def test_every_id_has_the_same_token_and_special_ones_are_known(case):
    ours, theirs = case
    assert [ours.inner.id_to_token(id) for id in range(ours.vocabulary)] == theirs.convert_ids_to_tokens(range(len(theirs)))
    roles = {"padding": theirs.pad_token_id, "end": theirs.sep_token_id if theirs.sep_token else theirs.eos_token_id}
    roles |= {"begin": theirs.cls_token_id if theirs.cls_token else theirs.bos_token_id, "mask": theirs.mask_token_id}
    assert {name: ours.special[name] for name in roles} == roles
    marked = {token["id"] for token in json.loads(ours.to_json())["added_tokens"] if token["special"]}
    assert marked >= {id for id in ours.special.values() if id is not None}
    assert marked == {id for id, token in theirs.added_tokens_decoder.items() if token.special}


def test_a_text_is_never_a_special_token(case):
    ours, _ = case
    special = {id for name, id in ours.special.items() if name != "unknown"}
    special |= {ours.inner.token_to_id(token) for token in ("<extra_id_0>", "<extra_id_1>", "<0x41>")}
    for text in SPELLED:
        assert not (special - {None}) & set(ours.encode(text)), text


def without_scores(tokenizer):
    """The library reads the last digit of a number not always as it wrote it."""
    described = json.loads(tokenizer.to_json())
    if described["model"]["type"] == "Unigram":
        described["model"]["vocab"] = [[text, round(score, 9)] for text, score in described["model"]["vocab"]]
    return described


def test_saved_it_is_the_same(case, tmp_path):
    ours, _ = case
    ours.save(tmp_path / "run.json")
    loaded = Tokenizer.load(tmp_path / "run.json")
    assert without_scores(loaded) == without_scores(ours)
    assert [loaded.encode(text) for text in TEXTS + SPELLED] == [ours.encode(text) for text in TEXTS + SPELLED]


@pytest.mark.parametrize("name", ["GPT-2", "GPT-2, a space before", "RoBERTa", "Llama"])
def test_bytes_and_round_trips(name, tmp_path):
    write, values, _ = CASES[name]
    ours = published_tokenizer(write(tmp_path, **values))
    for text in (text for text in TEXTS + SPELLED if not text.startswith(" ")):
        ids = ours.encode(text)
        assert sum(ours.byte_lengths(ids)) == len(text.encode()), text
        assert ours.decode(ids).removeprefix(" ") == text


def test_t5_counts_the_bytes_of_its_pieces(tmp_path):
    ours = published_tokenizer(t5_folder(tmp_path))
    for text in ("the cat sat on the mat", "chasing cats"):
        assert sum(ours.byte_lengths(ours.encode(text))) == len(text)
    assert ours.byte_lengths([0, 1, 2, ours.inner.token_to_id("<extra_id_0>")]) == [0, 0, 0, 0]


def test_wordpiece_decodes_as_people_write(tmp_path):
    ours = published_tokenizer(wordpiece_folder(tmp_path))
    ids = ours.encode("The Cats, chasing mice.")
    assert ours.decode([2, *ids, 3, 0]) == "the cats, chasing mice."


def test_sentinels_run_backwards(tmp_path):
    ours = published_tokenizer(t5_folder(tmp_path))
    assert ours.inner.token_to_id("<extra_id_0>") == ours.vocabulary - 1 == ours.inner.token_to_id("<extra_id_99>") + 99
    assert ours.with_special(["<extra_id_0>", "<extra_id_1>"]).vocabulary == ours.vocabulary


def test_the_layouts_in_their_order(tmp_path):
    """A folder with all of them has the first; each that is taken away leaves the next."""
    sizes = []
    whole = BPETokenizer(300).train(lambda: TEXTS)
    whole.save(tmp_path / "tokenizer.json")
    wordpiece_folder(tmp_path)
    byte_level_folder(tmp_path)
    byte_level_folder(tmp_path, special=("<|endoftext|>", "<a>"), files=("encoder.json", "vocab.bpe"))
    t5_folder(tmp_path)
    t5_folder(tmp_path, name="tokenizer.model", extra_ids=1)
    for names in LAYOUTS:
        found = published_tokenizer(tmp_path)
        alone = published_tokenizer(tmp_path / names[-1])
        assert alone.to_json() == found.to_json()
        sizes.append(type(found.inner.model).__name__)
        for name in names:
            (tmp_path / name).unlink()
    assert sizes == ["BPE", "WordPiece", "BPE", "BPE", "Unigram", "Unigram"]
    with pytest.raises(UserError, match="has no tokenizer. Looked for: tokenizer.json, vocab.txt, vocab.json and merges.txt, "):
        published_tokenizer(tmp_path)


def test_a_file_of_any_name(tmp_path):
    wordpiece_folder(tmp_path)
    for old, new in {"vocab.txt": "bert-base-uncased-vocab.txt"}.items():
        (tmp_path / old).rename(tmp_path / new)
        assert published_tokenizer(tmp_path / new).special["mask"] == 4
    t5_folder(tmp_path, name="sentences.model")
    assert published_tokenizer(tmp_path / "sentences.model").special["end"] == 1


def test_a_run_keeps_ids_and_size(tmp_path):
    """tokenizer.json alone does not say which token ends a text, nor how many rows a table has; facts.json beside it does."""
    made = BPETokenizer(300).train(lambda: TEXTS)
    made.save(tmp_path / "tokenizer.json")
    facts = {"vocabulary": 512, "max_length": 8, "padding": 0, "begin": None, "end": 4, "unknown": None, "mask": 1, "labels": []}
    (tmp_path / "facts.json").write_text(json.dumps(facts))
    found = PretrainedTokenizer(str(tmp_path)).train(list)
    assert found.special == {"padding": 0, "begin": None, "end": 4, "unknown": None, "mask": 1}
    assert found.vocabulary == 512 and found.to_json() == made.to_json()
    (tmp_path / "facts.json").write_text("{}")
    with pytest.raises(UserError, match=r"facts.json is damaged: KeyError\('labels'\)"):
        published_tokenizer(tmp_path)


def test_published_json_that_can_spell_special_tokens(tmp_path):
    """A T5 of the library's own layout has </s> among its pieces; a text that says so stays a text."""
    entries = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((letter, -3.0) for letter in "▁/s<>ab"), ("▁a", -1.0)]
    inner = tokenizers.Tokenizer(tokenizers.models.Unigram(entries, unk_id=2))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    inner.add_special_tokens(["<pad>", "</s>", "<unk>"])
    inner.encode_special_tokens = True
    assert inner.token_to_id("</s>") in inner.encode("a</s>b").ids
    inner.save(str(tmp_path / "tokenizer.json"))
    ours = published_tokenizer(tmp_path)
    assert ours.inner.encode("a</s>b").tokens == ["▁a", "<", "/", "s", ">", "b"]
    assert ours.encode("a b a") == inner.encode("a b a").ids
    ours.save(tmp_path / "tokenizer.json")
    assert published_tokenizer(tmp_path).to_json() == ours.to_json()


def test_other_algorithms_are_not_guessed(tmp_path):
    byte_level_folder(tmp_path, tokenizer_class="Qwen2TokenizerFast")
    with pytest.raises(UserError, match=r"tokenizer_class=Qwen2TokenizerFast .* vocab.json does not say how that one splits text \(known"):
        published_tokenizer(tmp_path)
    wordpiece_folder(tmp_path, tokenizer_class="BertJapaneseTokenizer")
    with pytest.raises(UserError, match="tokenizer_class=BertJapaneseTokenizer"):
        published_tokenizer(tmp_path)
    t5_folder(tmp_path, tokenizer_class="PegasusTokenizer")
    with pytest.raises(UserError, match="tokenizer_class=PegasusTokenizer"):
        published_tokenizer(tmp_path / "spiece.model")


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("vocab.txt", b"the\n\xff\xfe\n", r"vocab.txt is damaged: it is not UTF-8 \(invalid start byte at byte 4\)"),
        ("vocab.txt", "", "vocab.txt is damaged: it is empty"),
        ("vocab.txt", "the\ncat\n", r"vocab.txt has no entry \[UNK\] for unknown words \(2 lines\)"),
        ("vocab.json", "{", "vocab.json is damaged: Expecting property name"),
        ("vocab.json", "[1]", "vocab.json is damaged: it is no table of tokens and their ids"),
        ("vocab.json", '{"a": 0, "b": 0}', "vocab.json is damaged: several of its tokens have the same id"),
        ("vocab.json", '{"a": 0, "b": 1}', "vocab.json is no vocabulary over bytes: 254 of the 256 have no entry, the first"),
        ("merges.txt", "#version: 0.2\na b\nabc\n", "merges.txt is damaged: line 3 is no pair of tokens with a blank between them: 'abc'"),
        (
            "merges.txt",
            "\u4e00 \u4e01\n",
            "merges.txt does not belong to .*vocab.json: it merges '\u4e00' and '\u4e01', and '\u4e00' is no entry there",
        ),
        ("tokenizer.json", "{}", "is not a tokenizer.json of the `tokenizers` library"),
        ("tokenizer_config.json", "{", "tokenizer_config.json is damaged: Expecting"),
        ("special_tokens_map.json", "[]", "special_tokens_map.json is damaged: it holds no table of names and values"),
        ("special_tokens_map.json", '{"mask_token": 3}', "3 among its special tokens is none"),
        (
            "tokenizer_config.json",
            '{"added_tokens_decoder": {"1": "a"}}',
            "the added tokens in tokenizer_config.json are damaged: TypeError",
        ),
        ("added_tokens.json", '{"<new>": "x"}', "the added tokens in added_tokens.json are damaged: ValueError"),
        ("added_tokens.json", '{"<new>": 999}', "the token '<new>' is said to have the id 999; by the vocabulary it has "),
    ],
)
def test_damaged_files(name, content, message, tmp_path):
    byte_level_folder(tmp_path)
    write(tmp_path / name, content)
    with pytest.raises(UserError, match=message):
        published_tokenizer(tmp_path)


def test_merges_that_are_cut_off(tmp_path):
    merges = byte_level_folder(tmp_path) / "merges.txt"
    merges.write_text("\n".join(merges.read_text(encoding="utf-8").split("\n")[:60]), encoding="utf-8")
    with pytest.raises(UserError, match="merges.txt does not belong to .*vocab.json, or is cut off: 4[0-9] of 3[0-9]+ entries cannot"):
        published_tokenizer(tmp_path)


def test_half_of_a_pair(tmp_path):
    byte_level_folder(tmp_path)
    (tmp_path / "merges.txt").unlink()
    with pytest.raises(UserError, match=r"Looked for: .*; there is vocab.json alone"):
        published_tokenizer(tmp_path)
    with pytest.raises(UserError, match="vocab.json needs merges.txt beside it"):
        published_tokenizer(tmp_path / "vocab.json")
    with pytest.raises(UserError, match="no.txt does not exist; the file or the folder of a tokenizer is wanted: tokenizer.json, vocab"):
        published_tokenizer(tmp_path / "no.txt")
