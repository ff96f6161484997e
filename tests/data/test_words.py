"""Words of any script, the same in a text as typed and in its words with blanks between them."""

import unicodedata
from random import Random

import pytest

from framework.utils.words import is_word, letter_words, word_spans

SCRIPTS = {
    "latin": ("Zoë's café, twice: 3.5!", ["Zoë", "'", "s", "café", ",", "twice", ":", "3", ".", "5", "!"]),
    "latin, decomposed": ("Zoe\u0308 cafe\u0301", ["Zoe\u0308", "cafe\u0301"]),
    "links and names": ("www.x.org/a-b @tom #tag a_b", ["www.x.org/a-b", "@tom", "#tag", "a_b"]),
    "soft hyphen": ("co\u00adop x\u00b2", ["co\u00adop", "x\u00b2"]),
    "devanagari": ("वह दिल्ली।", ["वह", "दिल्ली", "।"]),
    "bengali": ("বাংলা ভাষা", ["বাংলা", "ভাষা"]),
    "arabic": ("قَالَ، ١٢", ["قَالَ", "،", "١٢"]),
    "persian": ("می\u200cخواهم", ["می\u200cخواهم"]),
    "hebrew": ("שָׁלוֹם\u200f עולם", ["שָׁלוֹם\u200f", "עולם"]),
    "hangul": ("서울에 갑니다.", ["서울에", "갑니다", "."]),
    "hangul, decomposed": (unicodedata.normalize("NFD", "서울에 가"), [unicodedata.normalize("NFD", word) for word in ("서울에", "가")]),
    "han": ("他住在深圳。", ["他", "住", "在", "深", "圳", "。"]),
    "kana": ("タワーｶﾞに", ["タ", "ワ", "ー", "ｶﾞ", "に"]),
    "thai": ("น้ำปิ้ง ก", ["น้ำ", "ปิ้", "ง", "ก"]),
    "lao": ("ພາສາ", ["ພ", "າ", "ສ", "າ"]),
    "khmer": ("ភាសា", ["ភា", "សា"]),
    "myanmar": ("မြန်", ["မြ", "န်"]),
    "tibetan": ("བོད་", ["བོ", "ད", "་"]),
    "emoji": ("👩\u200d👩\u200d👧👍🏽🇩🇪🇫🇷1\ufe0f\u20e3", ["👩\u200d👩\u200d👧", "👍🏽", "🇩🇪", "🇫🇷", "1\ufe0f\u20e3"]),
    "mixed": ("iPhone手机2023年, ok", ["iPhone", "手", "机", "2023", "年", ",", "ok"]),
    "a link in Chinese": ("见https://x.org/a。然", ["见", "https://x.org/a", "。", "然"]),
    "invisible": ("\u200b \u200e\ufeff\x07", []),
}


def words(text: str, pattern: str | None = None) -> list[str]:
    return [text[start:end] for start, end in word_spans(text, pattern)]


@pytest.mark.parametrize(("text", "expected"), SCRIPTS.values(), ids=SCRIPTS)
def test_words_of_a_script(text: str, expected: list[str]) -> None:
    assert words(text) == expected == words(" ".join(expected))
    assert all(map(is_word, expected)) and not (len(expected) > 1 and is_word(text))


def test_words_stay_the_same_with_blanks_between_them() -> None:
    """Random texts of characters of all planes, and of those that attach to others."""
    random = Random(0)
    letters = [chr(code) for code in range(1, 0x20000) if unicodedata.category(chr(code)) not in ("Cn", "Cs")]
    attaching = list("aB1_'.@# \t\u0301\u200d\u200c\u200b\u200f\u00ad👩🏽🇩🇪กุ้ำ東ー한\u11a8क्षि\ufe0f\u20e3אُ")
    for number in range(3000):
        found = words("".join(random.choices(letters if number % 2 else attaching, k=random.randrange(1, 12))))
        assert words(" ".join(found)) == found, ascii(found)
        assert all(map(is_word, found)), ascii(found)


def test_a_pattern_of_ones_own() -> None:
    assert words("서울에 가", r"\X") == ["서", "울", "에", "가"]
    assert words("Anna's  at", r"\S+") == ["Anna's", "at"] and is_word("Anna's", r"\S+")
    with pytest.raises(ValueError, match=r"'\(' is not a regular expression"):
        word_spans("", "(")


def test_words_of_letters_alone() -> None:
    assert letter_words("Größe: 3,5 दिल्ली a_b 東京! 👍") == ["Größe", "3", "5", "दिल्ली", "a", "b", "東", "京"]
