"""Layouts of tokenizer files: their order, and errors for damaged or mismatched files."""

import json

import pytest
import tokenizers

from framework.data.tokenization.layouts import LAYOUTS, published_tokenizer
from framework.data.tokenization.pretrained import PretrainedTokenizer
from framework.data.tokenization.trainers import BPETokenizer
from framework.errors import UserError
from tests.data.published_toys import TEXTS, byte_level_folder, t5_folder, wordpiece_folder


def test_the_layouts_in_their_order(tmp_path):
    """A folder with all layouts uses the first; without it the next, and so on."""
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
        sizes.append(type(found.backend.model).__name__)
        for name in names:
            (tmp_path / name).unlink()
    assert sizes == ["BPE", "WordPiece", "BPE", "BPE", "Unigram", "Unigram"]
    with pytest.raises(UserError, match="has no tokenizer: it must have tokenizer.json, vocab.txt, vocab.json and merges.txt, "):
        published_tokenizer(tmp_path)


def test_a_file_of_any_name(tmp_path):
    wordpiece_folder(tmp_path)
    for old, new in {"vocab.txt": "bert-base-uncased-vocab.txt"}.items():
        (tmp_path / old).rename(tmp_path / new)
        assert published_tokenizer(tmp_path / new).special_ids["mask"] == 4
    t5_folder(tmp_path, name="sentences.model")
    assert published_tokenizer(tmp_path / "sentences.model").special_ids["end"] == 1


def test_a_run_keeps_ids_and_size(tmp_path):
    """tokenizer.json does not have the end token and the size of the embedding table; data_spec.json has."""
    made = BPETokenizer(300).train(lambda: TEXTS)
    made.save(tmp_path / "tokenizer.json")
    spec = {
        "vocab_size": 512,
        "max_length": 8,
        "padding": 0,
        "begin": None,
        "end": 4,
        "unknown": None,
        "mask": 1,
        "start": 4,
        "special_ids": [],
        "labels": [],
    }
    (tmp_path / "data_spec.json").write_text(json.dumps(spec))
    found = PretrainedTokenizer(str(tmp_path)).train(list)
    assert found.special_ids == {"padding": 0, "begin": None, "end": 4, "unknown": None, "mask": 1, "start": 4}
    assert found.vocab_size == 512 and found.to_json() == made.to_json()
    (tmp_path / "data_spec.json").write_text("{}")
    with pytest.raises(UserError, match=r"data_spec.json is not complete: it has no vocab_size"):
        published_tokenizer(tmp_path)


def test_published_json_with_special_tokens_as_pieces(tmp_path):
    """T5's tokenizer.json has </s> among its pieces; the text "</s>" is still not encoded as it."""
    entries = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((letter, -3.0) for letter in "▁/s<>ab"), ("▁a", -1.0)]
    inner = tokenizers.Tokenizer(tokenizers.models.Unigram(entries, unk_id=2))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    inner.add_special_tokens(["<pad>", "</s>", "<unk>"])
    inner.encode_special_tokens = True
    assert inner.token_to_id("</s>") in inner.encode("a</s>b").ids
    inner.save(str(tmp_path / "tokenizer.json"))
    ours = published_tokenizer(tmp_path)
    assert ours.backend.encode("a</s>b").tokens == ["▁a", "<", "/", "s", ">", "b"]
    assert ours.encode("a b a") == inner.encode("a b a").ids
    ours.save(tmp_path / "tokenizer.json")
    assert published_tokenizer(tmp_path).to_json() == ours.to_json()


def test_other_algorithms_are_not_guessed(tmp_path):
    byte_level_folder(tmp_path, tokenizer_class="Qwen2TokenizerFast")
    with pytest.raises(UserError, match=r"made for Qwen2TokenizerFast, and vocab.json does not define how it splits text") as refused:
        published_tokenizer(tmp_path)
    text = (tmp_path / "tokenizer_config.json").read_text().splitlines()
    number = next(number for number, line in enumerate(text, 1) if '"tokenizer_class"' in line)
    assert f'{tmp_path / "tokenizer_config.json"}, line {number}: "tokenizer_class": "Qwen2TokenizerFast"' in str(refused.value)
    (tmp_path / "tokenizer_config.json").unlink()
    for name, write, file in (("albert", t5_folder, "spiece.model"), ("camembert", wordpiece_folder, "vocab.txt")):
        (tmp_path / "config.json").write_text(json.dumps({"model_type": name}))
        with pytest.raises(UserError, match=f"made for {name}, and {file} does not define how") as refused:
            published_tokenizer(write(tmp_path) / file)
        assert f'{tmp_path / "config.json"}, line 1: "model_type": "{name}"' in str(refused.value)
    (tmp_path / "config.json").write_text('{"model_type": "albert", "tokenizer_class": "T5Tokenizer"}')
    assert published_tokenizer(tmp_path / "spiece.model").special_ids["end"] == 1
    for name in ("BertTokenizer", "DistilBertTokenizerFast", "mobile-bert"):
        assert published_tokenizer(wordpiece_folder(tmp_path, tokenizer_class=name) / "vocab.txt").special_ids["mask"] == 4


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("vocab.txt", b"the\n\xff\xfe\n", r"vocab.txt is damaged: it is not UTF-8 \(invalid start byte at byte 4\)"),
        ("vocab.txt", "", "vocab.txt is damaged: it is empty"),
        ("vocab.txt", "the\ncat\n", r"vocab.txt has no entry \[UNK\] for unknown words among 2 lines"),
        ("vocab.json", "{", "vocab.json is damaged: Expecting property name"),
        ("vocab.json", "[1]", "vocab.json is damaged: it contains no JSON object"),
        ("vocab.json", '{"a": "x"}', "vocab.json is damaged: it must be an object of tokens and their ids"),
        ("vocab.json", '{"a": 0, "b": 0}', "vocab.json is damaged: several of its tokens have the same id"),
        ("vocab.json", '{"a": 0, "b": 1}', "vocab.json is no byte-level vocabulary: 254 of 256 bytes have no entry, the first"),
        ("merges.txt", "#version: 0.2\na b\nabc\n", "merges.txt is damaged: line 3 must be two tokens with a space between them: 'abc'"),
        (
            "merges.txt",
            "\u4e00 \u4e01\n",
            "merges.txt does not belong to .*vocab.json: it merges '\u4e00' and '\u4e01', and '\u4e00' is no entry",
        ),
        ("tokenizer.json", "{}", "is not a tokenizer.json of the `tokenizers` library"),
        ("tokenizer_config.json", "{", "tokenizer_config.json is damaged: Expecting"),
        ("special_tokens_map.json", "[]", "special_tokens_map.json is damaged: it contains no JSON object"),
        ("special_tokens_map.json", '{"mask_token": 3}', "3 is no special token"),
        (
            "tokenizer_config.json",
            '{"added_tokens_decoder": {"1": "a"}}',
            "tokenizer_config.json: added_tokens_decoder is .* and must be an object, each value an object",
        ),
        ("added_tokens.json", '{"<new>": "x"}', "the added tokens in added_tokens.json are damaged: ValueError"),
        ("added_tokens.json", '{"<new>": 999}', "the added token '<new>' must have the id 999, and in the vocabulary it has "),
    ],
)
def test_damaged_files(name, content, message, tmp_path):
    byte_level_folder(tmp_path)
    write(tmp_path / name, content)
    with pytest.raises(UserError, match=message):
        published_tokenizer(tmp_path)


def test_truncated_merges(tmp_path):
    merges = byte_level_folder(tmp_path) / "merges.txt"
    merges.write_text("\n".join(merges.read_text(encoding="utf-8").split("\n")[:60]), encoding="utf-8")
    with pytest.raises(UserError, match="merges.txt does not belong to .*vocab.json, or is truncated: 4[0-9] of 3[0-9]+ entries lack"):
        published_tokenizer(tmp_path)


def test_one_file_of_two(tmp_path):
    byte_level_folder(tmp_path)
    (tmp_path / "merges.txt").unlink()
    with pytest.raises(UserError, match=r"it must have .*, and has only vocab.json"):
        published_tokenizer(tmp_path)
    with pytest.raises(UserError, match="vocab.json needs merges.txt"):
        published_tokenizer(tmp_path / "vocab.json")
    with pytest.raises(UserError, match="no.txt does not exist and must be .* one of its files: tokenizer.json, vocab"):
        published_tokenizer(tmp_path / "no.txt")
