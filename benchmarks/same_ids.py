"""Whether published vocabularies give the ids that `transformers` gives: `python benchmarks/same_ids.py DATA=folder`.

DATA has `vocab/bert-base-uncased/vocab.txt`, `vocab/gpt2/encoder.json` and `vocab.bpe`, and `completion/wikitext-2/test.txt`: the files
as their authors published them. Printed are equal lines of how many, of running text and of text that is hard to split. The exit code
is 1 if one differs from the tokenizer that `transformers` uses. Its older one of plain Python stands beside it as a second witness: it
asks Python what a character is, whose Unicode is newer (U+061D is punctuation there since 2021).
"""

import random
import sys
import unicodedata
from pathlib import Path

from transformers import BertTokenizer, GPT2Tokenizer
from transformers.models.bert.tokenization_bert_legacy import BertTokenizerLegacy

from framework.data.tokenization.layouts import published_tokenizer

LINES = 1000
BLOCKS = {  # of Unicode, first and last
    "emoji": [(0x1F300, 0x1F6FF), (0x1F900, 0x1F9FF), (0x1F1E6, 0x1F1FF), (0x200D, 0x200D), (0xFE0F, 0xFE0F), (0x1F3FB, 0x1F3FF)],
    "CJK": [(0x3040, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0x3000, 0x303F), (0xFF00, 0xFFEF), (0x20000, 0x2A6DF)],
    "combining marks": [(0x0300, 0x036F), (0x61, 0x7A), (0xC0, 0x17F), (0x05D0, 0x05EA), (0x0591, 0x05BD), (0x0900, 0x097F)],
    "control characters": [
        (0x00, 0x1F),
        (0x7F, 0xA0),
        (0x61, 0x7A),
        (0x2000, 0x200F),
        (0x2028, 0x202F),
        (0xFEFF, 0xFEFF),
        (0xFFFD, 0xFFFD),
    ],
    "other scripts": [(0x0400, 0x04FF), (0x0600, 0x06FF), (0x0E00, 0x0E7F), (0x1F00, 0x1FFF), (0x2190, 0x22FF), (0x1D400, 0x1D7FF)],
}


def hard(kind: str, count: int = 200) -> list[str]:
    """Texts of the characters of a few blocks, with blanks and capitals in between."""
    choose = random.Random(kind)
    characters = [
        chr(code) for first, last in BLOCKS[kind] for code in range(first, last + 1) if unicodedata.category(chr(code)) not in ("Cs", "Cn")
    ]
    lines = ["".join(choose.choice([*choose.choices(characters, k=6), " ", "A", "."]) for _ in range(40)) for _ in range(count)]
    return [*lines, *(unicodedata.normalize("NFD", line) for line in lines)]


def long_words() -> list[str]:
    """Words of up to 400 characters: 100 is the most that BERT's algorithm looks at, 200 what it was first."""
    lengths = [*range(95, 106), *range(195, 206), 300, 400]
    return [f"a {(stem * 400)[:length]} b" for stem in ("a", "Electro", "é", "日", "🙂", "12", "x-", "\u0301") for length in lengths]


def main(arguments: list[str]) -> int:
    data = Path(dict(text.split("=", 1) for text in arguments).get("DATA", "data"))
    bert, gpt2 = data / "vocab" / "bert-base-uncased", data / "vocab" / "gpt2"
    lines = [line for line in (data / "completion" / "wikitext-2" / "test.txt").read_text(encoding="utf-8").split("\n") if line.strip()]
    texts = {"wikitext-2": lines[:LINES], **{kind: hard(kind) for kind in BLOCKS}, "very long words": long_words()}
    pairs = {
        "bert-base-uncased": (published_tokenizer(bert), BertTokenizer(vocab=str(bert / "vocab.txt"))),
        "bert-base-uncased, Python reference": (published_tokenizer(bert), BertTokenizerLegacy(str(bert / "vocab.txt"))),
        "gpt2": (published_tokenizer(gpt2), GPT2Tokenizer(vocab=str(gpt2 / "encoder.json"), merges=str(gpt2 / "vocab.bpe"))),
    }
    unequal = 0
    for name, (ours, theirs) in pairs.items():
        print(f"{name}: {ours.vocab_size:,} entries, special {ours.special_ids}")
        for kind, rows in texts.items():
            equal = sum(ours.encode(row) == theirs.encode(row, add_special_tokens=False) for row in rows)
            unequal += (len(rows) - equal) * (not isinstance(theirs, BertTokenizerLegacy))
            print(f"  {kind:20}{equal:6,} of {len(rows):,} lines equal")
    return int(unequal > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
