"""Words of a text in any script.

A word is a run of letters, digits and marks, as in Unicode Standard Annex 29 (https://www.unicode.org/reports/tr29): a combining mark or a
format character belongs to the letter before it (rules WB3c and WB4). Apostrophes and full stops are words of their own also where the
annex keeps them in one ("Anna's"), because names end there. A script that puts no blanks between words has a word for each character, as
in the basic tokenizer of BERT (Devlin et al. 2019, https://github.com/google-research/bert), and so has any other character. A character is
a grapheme cluster.
"""

from functools import lru_cache

import regex

# Scripts without blanks between words. "Complex context" of UAX 14, https://www.unicode.org/reports/tr14, and the scripts of East Asia
_SCRIPTS = """
Han Hiragana Katakana Bopomofo Yi Tangut Nushu Thai Lao Khmer Myanmar Tibetan Tai_Le New_Tai_Lue Tai_Tham Tai_Viet Javanese Balinese
"""
UNSPACED = "".join(rf"\p{{{script}}}" for script in _SCRIPTS.split()) + "ーｰ"  # for a set of `regex`, and of `tokenizers.Regex`
_RUN = rf"(?:(?![{UNSPACED}])[\w\p{{M}}\p{{N}}][\p{{WB=Extend}}\p{{WB=Format}}\p{{WB=ZWJ}}]*)+"
_CHARACTER = r"(?![\s\p{Cc}\p{Cf}])\X"
_URL = rf"(?:https?://|www\.)[^\s{UNSPACED}\u3000-\u303F\uFF00-\uFF0F]+"
WORD = rf"{_URL}|[@#]?{_RUN}|{_CHARACTER}"  # URLs, @names and #tags, words; any other visible character alone
_LETTERS = rf"(?:(?![{UNSPACED}_])[\p{{L}}\p{{M}}\p{{N}}][\p{{WB=Extend}}\p{{WB=Format}}\p{{WB=ZWJ}}]*)+|(?=[{UNSPACED}])\X"


def word_spans(text: str, pattern: str | None = None) -> list[tuple[int, int]]:
    """The characters of each word, from and to: the matches of a regular expression of the package `regex`, without those of blanks alone.
    None: Unicode's words, and each character in scripts without blanks. ValueError: the pattern is no regular expression.

    >>> text = "Anna's 東京"
    >>> [text[start:end] for start, end in word_spans(text)]
    ['Anna', "'", 's', '東', '京']
    """
    return [match.span() for match in _compiled(pattern or WORD).finditer(text) if match[0].strip()]


def is_word(text: str, pattern: str | None = None) -> bool:
    """Whether a text is one word.

    >>> is_word("Anna"), is_word("Anna's"), is_word("東京")
    (True, False, False)
    """
    return bool(_compiled(pattern or WORD).fullmatch(text)) and bool(text.strip())


def letter_words(text: str) -> list[str]:
    """The words of letters and digits, without punctuation and symbols."""
    return _compiled(_LETTERS).findall(text)


def split_at_blanks(text: str) -> list[str]:
    """Tokens between blanks, with each character of scripts without blanks as a token.

    >>> split_at_blanks("It's 3.5 in 東京!")
    ["It's", '3.5', 'in', '東', '京', '!']
    """
    return _compiled(rf"(?=[{UNSPACED}])\X|(?:(?![{UNSPACED}])\S)+").findall(text)


def split_sentences(text: str) -> list[str]:
    """The parts of a text up to . ! ? and the marks of other scripts with a blank behind them, and up to 。！？ without one.

    >>> split_sentences("It rains. It pours! 下雨了。真的？")
    ['It rains.', 'It pours!', '下雨了。', '真的？']
    """
    return _compiled(r"(?<=\p{Sentence_Terminal})\s+|(?<=[。！？｡])(?=[^\s。！？｡])").split(text)


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> regex.Pattern[str]:
    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
