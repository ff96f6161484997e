"""Contract tests of tokenizers, trained on a few texts."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from framework.data.tokenization.tokenizer import KNOWN_SPECIAL_TOKENS, Tokenizer
from framework.data.tokenization.trainers import TokenizerTrainer
from framework.testing.contract import KindPromises, require
from framework.testing.promise import BrokenPromise

TEXTS = tuple(
    f"{subject} {verb} the {thing}, {again}."
    for subject in ("The cat", "A dog", "nobody")
    for verb in ("chases", "paints", "forgets")
    for thing in ("house", "houses", "naïve answer")
    for again in ("again", "over and over")
)
STRANGE = (
    "",
    " ",
    "\n\t\r\n",
    "  two  blanks ",
    "[MASK] <s> </s> [PAD] <0x41> <|endoftext|>",
    "Zoë\u0301 日本 हिन्दी ไทย עברית 🎉👩‍👧",
    "\x00\x07\ufeff \u00ad",
    "x" * 300,
    "The end. " * 50,
)


class TokenizerPromises(KindPromises):
    """Contract tests of a tokenizer.

    restores: whether decoding restores every text exactly; if not, it restores the words of the training texts, but for case and blanks.
    """

    restores: ClassVar[bool] = True

    def trainer(self) -> TokenizerTrainer:
        return self.with_values()()

    def trained(self) -> Tokenizer:
        return self.trainer().train(lambda: iter(TEXTS))

    def test_every_text_is_encoded(self) -> None:
        """Any text gives ids below `vocab_size`, none of them that of a special token but the unknown one's."""
        tokenizer = self.trained()
        special = {id for role, id in tokenizer.special_ids.items() if id is not None and role != "unknown"}
        for text in (*TEXTS, *STRANGE):
            try:
                ids = tokenizer.encode(text)
            except Exception as error:
                raise BrokenPromise(f"every text is encoded: {text[:40]!r} ends in {type(error).__name__}: {error}") from error
            outside = [id for id in ids if not 0 <= id < tokenizer.vocab_size]
            require(
                not outside, f"every text is encoded: {text[:40]!r} has the ids {outside[:3]}, and vocab_size is {tokenizer.vocab_size}"
            )
            require(not special & {*ids}, f"every text is encoded: {text[:40]!r} has the id {[*special & {*ids}][:1]} of a special token")
        for text in TEXTS:
            require(tokenizer.encode(text), f"every text is encoded: {text!r} has no token")

    def test_decoding_restores_the_text(self) -> None:
        """`decode(encode(text))` is the text, exactly where the suite says `restores`; special tokens decode to nothing."""
        tokenizer = self.trained()
        for text in (*TEXTS, *(STRANGE if self.restores else ())):
            back = tokenizer.decode(tokenizer.encode(text))
            same = back == text if self.restores else plain(back) == plain(text)
            require(same, f"decoding restores the text: {text[:60]!r} comes back as {back[:60]!r}")
        special = [id for id in tokenizer.special_ids.values() if id is not None]
        require(not tokenizer.decode(special), f"decoding restores the text: special tokens decode to {tokenizer.decode(special)!r}")

    def test_offsets_are_those_of_the_text(self) -> None:
        """The characters of each token, from and to, are in order, and together they are all letters of the text."""
        tokenizer = self.trained()
        for text in (*TEXTS, *(STRANGE if self.restores else ())):
            ids, offsets = tokenizer.encode_with_offsets(text)
            require(ids == tokenizer.encode(text), f"offsets are those of the text: encode gives other ids for {text[:40]!r}")
            require(len(ids) == len(offsets), f"offsets are those of the text: {len(ids)} ids and {len(offsets)} offsets of {text[:40]!r}")
            starts = [start for start, _ in offsets]
            legal = starts == sorted(starts) and all(0 <= start <= stop <= len(text) for start, stop in offsets)
            require(legal, f"offsets are those of the text: {offsets[:5]} of {text[:40]!r} are not in order inside it")
            covered = {place for start, stop in offsets for place in range(start, stop)}
            left = [text[place] for place in range(len(text)) if text[place].isalnum() and place not in covered]
            require(not left, f"offsets are those of the text: no token has the letters {''.join(left[:5])!r} of {text[:40]!r}")
        text = "The cat paints the house, again."
        for id, (start, stop) in zip(*tokenizer.encode_with_offsets(text), strict=True):
            piece = plain(tokenizer.decode([id])).removeprefix("##")
            require(
                piece == plain(text[start:stop]) or id == tokenizer.special_ids["unknown"],
                f"offsets are those of the text: a token of {text!r} decodes to {piece!r} and has the characters {text[start:stop]!r}",
            )

    def test_has_special_tokens(self) -> None:
        """It has padding, begin, end, unknown and mask tokens with ids of their own; further ones get ids after the last, and change
        nothing else."""
        tokenizer = self.trained()
        missing = [role for role in KNOWN_SPECIAL_TOKENS if tokenizer.special_ids.get(role) is None]
        require(not missing, f"has special tokens: there is no token for {', '.join(missing)}")
        ids = list(tokenizer.special_ids.values())
        require(len({*ids}) == len(ids), f"has special tokens: two of them share an id: {tokenizer.special_ids}")
        more = tokenizer.with_special_tokens(("<one>", "<two>"))
        require(
            more.vocab_size == tokenizer.vocab_size + 2,
            f"has special tokens: two more give {more.vocab_size} of {tokenizer.vocab_size} ids",
        )
        changed = [text for text in (*TEXTS, *STRANGE, "<one>") if more.encode(text) != tokenizer.encode(text)]
        require(not changed, f"has special tokens: with two more, {changed[:1]} has other ids")

    def test_saves_and_loads(self) -> None:
        """A saved tokenizer is loaded with the same ids, texts and special tokens."""
        tokenizer = self.trained()
        with tempfile.TemporaryDirectory() as folder:
            tokenizer.save(Path(folder) / "tokenizer.json")
            loaded = Tokenizer.load(Path(folder) / "tokenizer.json")
        for text in (*TEXTS, *STRANGE):
            ids = tokenizer.encode(text)
            require(ids == loaded.encode(text), f"saves and loads: {text[:40]!r} has other ids once it is loaded")
            require(tokenizer.decode(ids) == loaded.decode(ids), f"saves and loads: the ids of {text[:40]!r} decode to another text")
        require(
            (tokenizer.special_ids, tokenizer.vocab_size) == (loaded.special_ids, loaded.vocab_size),
            f"saves and loads: {tokenizer.special_ids} of {tokenizer.vocab_size} ids became {loaded.special_ids} of {loaded.vocab_size}",
        )

    def test_trains_the_same_twice(self) -> None:
        """The same texts give the same tokenizer; `origin` is JSON, and the same for the same options: caches are keyed by it."""
        require(self.trained().to_json() == self.trained().to_json(), "trains the same twice: the second tokenizer is another one")
        try:
            one, other = (json.dumps(self.trainer().origin(), sort_keys=True) for _ in range(2))
        except TypeError as error:
            raise BrokenPromise(f"trains the same twice: its origin is not JSON: {error}") from error
        require(one == other, f"trains the same twice: its origin is {one}, then {other}")

    def test_says_whether_it_needs_texts(self) -> None:
        """`needs_texts = False` is that of a tokenizer which reads none: it is then trained without them."""
        asked = []

        def texts() -> Iterator[str]:
            asked.append(True)
            return iter(TEXTS)

        trainer = self.trainer()
        trainer.train(texts)
        require(bool(asked) <= trainer.needs_texts, "says whether it needs texts: needs_texts is False, and it reads them")

    def test_keeps_its_size(self) -> None:
        """The vocabulary has at most `vocab_size` entries."""
        if not self.has("vocab_size"):
            return
        size = 400
        tokenizer = self.with_values(vocab_size=size)().train(lambda: iter(TEXTS))
        require(tokenizer.vocab_size <= size, f"keeps its size: {tokenizer.vocab_size} entries with vocab_size={size}")

    def test_counts_bytes(self) -> None:
        """`byte_lengths` are the UTF-8 bytes of each token: those of a restored text add up to its own. Bits per byte count them."""
        tokenizer = self.trained()
        for text in (*TEXTS, *(STRANGE if self.restores else ())):
            lengths, size = tokenizer.byte_lengths(tokenizer.encode(text)), len(text.encode())
            right = sum(lengths) == size if self.restores else 0 < sum(lengths) <= size
            require(right and min(lengths, default=0) >= 0, f"counts bytes: {sum(lengths)} of the {size} bytes of {text[:40]!r}")


def plain(text: str) -> str:
    """The text in lower case, without blanks."""
    return "".join(text.lower().split())
