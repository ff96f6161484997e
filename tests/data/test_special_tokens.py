"""Special and added tokens in the JSON files of a published tokenizer."""

import json

import pytest
import tokenizers
from transformers import BertTokenizer

from framework.data.tokenization.layouts import published_tokenizer
from framework.data.tokenization.pretrained import PretrainedTokenizer
from framework.data.tokenization.tokenizer import Tokenizer
from framework.errors import UserError
from tests.data.published_toys import byte_level_folder, t5_folder, wordpiece_folder


def words(names, **kept):
    """A tokenizer of whole words."""
    vocabulary = {name: id for id, name in enumerate(names)} | kept
    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token=names[0]))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return inner


def test_given_names_count_before_usual_ones():
    inner = words(["<unk>", "<s>", "<|im_end|>", "a"])
    assert Tokenizer(inner).special_ids == {"padding": None, "begin": 1, "end": None, "unknown": 0, "mask": None}
    given = Tokenizer(inner, {"end": "<|im_end|>", "begin": None, "padding": "<unk>"}, min_vocab_size=9, start=2)
    assert given.special_ids == {"padding": 0, "begin": None, "end": 2, "unknown": 0, "mask": None, "start": 2}
    assert given.vocab_size == 9
    more = given.with_special_tokens(["<new>"])
    assert (more.special_ids, more.vocab_size, more.backend.token_to_id("<new>")) == (given.special_ids, 9, 4)


def test_nothing_is_added_to_a_vocabulary_with_gaps():
    """The library gives the new token the id of another one."""
    with pytest.raises(UserError, match=r"'<a>' cannot be added: the vocabulary has gaps \(3 entries, last id 3\)"):
        Tokenizer(words(["<unk>", "a"], high=3)).with_special_tokens(["<a>", "<b>"])
    assert Tokenizer(words(["<unk>", "a"], high=2)).with_special_tokens(["<a>"]).backend.token_to_id("<a>") == 3


def test_the_map_has_tokens_with_unusual_names(tmp_path):
    byte_level_folder(tmp_path, special=("<|im_start|>", "<|im_end|>", "<|pad|>"))
    (tmp_path / "special_tokens_map.json").write_text(
        json.dumps({"eos_token": {"content": "<|im_end|>", "lstrip": True}, "pad_token": "<|pad|>", "bos_token": None})
    )
    ours = published_tokenizer(tmp_path)
    ids = {name: ours.backend.token_to_id(name) for name in ("<|im_start|>", "<|im_end|>", "<|pad|>")}
    assert ours.special_ids == {"padding": ids["<|pad|>"], "begin": None, "end": ids["<|im_end|>"], "unknown": None, "mask": None}
    added = {token["content"]: token for token in json.loads(ours.to_json())["added_tokens"]}
    assert added["<|im_end|>"]["lstrip"] and added["<|im_end|>"]["special"] and not added["<|pad|>"]["lstrip"]
    assert "<|im_start|>" not in added
    assert ours.decode([ids["<|pad|>"], *ours.encode("a cat"), ids["<|im_end|>"]]) == "a cat"


def test_the_newer_layout_overrides_the_map(tmp_path):
    """tokenizer_config.json with added_tokens_decoder overrides the map; without it, the map overrides."""
    byte_level_folder(tmp_path, special=("<a>", "<b>"), eos_token="<a>")
    (tmp_path / "special_tokens_map.json").write_text('{"eos_token": "<b>"}')
    assert published_tokenizer(tmp_path).special_tokens["end"] == "<b>"
    byte_level_folder(tmp_path, special=("<a>", "<b>"), eos_token="<a>", added_tokens_decoder={})
    assert published_tokenizer(tmp_path).special_tokens["end"] == "<a>"


@pytest.mark.parametrize("layout", ["older", "newer"])
def test_added_tokens_have_the_ids_of_transformers(layout, tmp_path):
    size = len((wordpiece_folder(tmp_path) / "vocab.txt").read_text(encoding="utf-8").splitlines())
    named = {"additional_special_tokens": ["<b>"], "mask_token": "[MASK]"}
    if layout == "older":
        (tmp_path / "added_tokens.json").write_text(json.dumps({"cathouse": size, "<b>": size + 1}))
        (tmp_path / "special_tokens_map.json").write_text(json.dumps(named))
    else:
        flags = {"lstrip": False, "rstrip": False, "single_word": False}
        listed = {size: {"content": "cathouse", "special": False, "normalized": True}, size + 1: {"content": "<b>", "special": True}}
        options = {**named, "added_tokens_decoder": {str(id): {"normalized": False, **flags, **token} for id, token in listed.items()}}
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(options))
    ours, theirs = published_tokenizer(tmp_path), BertTokenizer.from_pretrained(tmp_path)
    assert ours.backend.token_to_id("<b>") == theirs.convert_tokens_to_ids("<b>") == size + 1
    for text in ("the cathouse sat", "Cathouse"):
        assert ours.encode(text) == theirs.encode(text, add_special_tokens=False)
    assert size in ours.encode("the cathouse sat")
    assert ours.byte_lengths([0, size, size + 1]) == [0, len("cathouse"), 0]
    assert not {size + 1} & set(ours.encode("the <b>"))


def test_roberta_mask_takes_its_space_along(tmp_path):
    ours = published_tokenizer(byte_level_folder(tmp_path, special=("<s>", "</s>", "<mask>")))
    added = {token["content"]: token["lstrip"] for token in json.loads(ours.to_json())["added_tokens"]}
    assert added == {"<s>": False, "</s>": False, "<mask>": True}
    assert ours.special_ids["mask"] not in ours.encode("a <mask> b")


def test_tokens_and_rows_added_by_the_user(tmp_path):
    t5_folder(tmp_path)
    plain = PretrainedTokenizer(str(tmp_path)).train(list)
    more = PretrainedTokenizer(str(tmp_path), additional_special_tokens=["<title>", "</title>"]).train(list)
    assert more.vocab_size == plain.vocab_size + 2
    assert [more.backend.token_to_id(token) for token in ("<title>", "</title>")] == [plain.vocab_size, plain.vocab_size + 1]
    assert more.special_ids == plain.special_ids and more.encode("the cat") == plain.encode("the cat")
    assert not {plain.vocab_size} & set(more.encode("<title>"))  # special: added by formats, never encoded from text
    assert PretrainedTokenizer(str(tmp_path), vocab_size=plain.vocab_size + 28).train(list).vocab_size == plain.vocab_size + 28
    assert (
        PretrainedTokenizer(str(tmp_path), additional_special_tokens=["<title>"], vocab_size=160).train(list).backend.token_to_id("<title>")
        == plain.vocab_size
    )
    assert PretrainedTokenizer(str(tmp_path), vocab_size=3).train(list).vocab_size == plain.vocab_size


def test_origin_depends_on_all_files(tmp_path):
    """Encoded rows of different tokenizers must have different cache entries."""
    wordpiece_folder(tmp_path)
    origins = [PretrainedTokenizer(str(tmp_path)).origin()]
    assert origins[0] == PretrainedTokenizer(str(tmp_path)).origin()
    origins.append(PretrainedTokenizer(str(tmp_path), additional_special_tokens=["<a>"]).origin())
    origins.append(PretrainedTokenizer(str(tmp_path), vocab_size=999).origin())
    wordpiece_folder(tmp_path, do_lower_case=False)
    origins.append(PretrainedTokenizer(str(tmp_path)).origin())
    wordpiece_folder(tmp_path, do_lower_case=False, cls_token="cats")
    origins.append(PretrainedTokenizer(str(tmp_path)).origin())
    assert all(one != other for at, one in enumerate(origins) for other in origins[:at])
