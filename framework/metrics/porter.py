"""Porter stemmer: "summaries" and "summary" have the same stem.

Porter 1980, "An algorithm for suffix stripping", https://tartarus.org/martin/PorterStemmer, with the extensions of NLTK, whose stemmer
rouge_score uses: short words in -ies and -ied, -y only after a consonant, -alli, -fulli, -logi and some irregular words.
"""

from functools import lru_cache

IRREGULAR = {
    "skies": "sky",
    "dying": "die",
    "lying": "lie",
    "tying": "tie",
    "innings": "inning",
    "outings": "outing",
    "cannings": "canning",
}
IRREGULAR |= {word: word for word in ("sky", "news", "inning", "outing", "canning", "howe", "proceed", "exceed", "succeed")}


def rules(text: str) -> list[tuple[str, str]]:
    """Rules "suffix>replacement". Only the first matching rule is applied, so longer suffixes precede shorter ones."""
    return [(ending, new) for ending, _, new in (rule.partition(">") for rule in text.split())]


STEP_2 = rules(
    "ational>ate tional>tion enci>ence anci>ance izer>ize bli>ble alli>al entli>ent eli>e ousli>ous ization>ize ation>ate ator>ate "
    "alism>al iveness>ive fulness>ful ousness>ous aliti>al iviti>ive biliti>ble fulli>ful"
)
STEP_3 = rules("icate>ic ative> alize>al iciti>ic ical>ic ful> ness>")
STEP_4 = rules("al> ance> ence> er> ic> able> ible> ant> ement> ment> ent> ou> ism> ate> iti> ous> ive> ize>")


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """The stem of a lowercase word."""
    if word in IRREGULAR or len(word) <= 2:
        return IRREGULAR.get(word, word)
    word = past_and_progressive(plural(word))
    if word.endswith("y") and len(word) > 2 and letter_types(word)[-2] == "c":
        word = word[:-1] + "i"
    word = replaced(double_suffix(word), STEP_3, least=1)
    return final_e_and_l(remove_suffix(word))


def letter_types(word: str) -> str:
    """The word as consonants (c) and vowels (v); a y after a consonant is a vowel (section 2)."""
    types = ""
    for letter in word:
        types += "v" if letter in "aeiou" or (letter == "y" and types[-1:] == "c") else "c"
    return types


def measure(word: str) -> int:
    """m of section 2: the number of vowel-consonant sequences."""
    return letter_types(word).count("vc")


def ends_cvc(word: str) -> bool:
    """*o of section 2: ends in consonant, vowel, consonant ("hop"), and the last is not w, x or y. NLTK adds words like "at"."""
    types = letter_types(word)
    return types == "vc" or (types.endswith("cvc") and word[-1] not in "wxy")


def replaced(word: str, rules: list[tuple[str, str]], least: int) -> str:
    """The word with its suffix replaced, if the measure of the rest is at least `least`."""
    for ending, new in rules:
        if word.endswith(ending):
            before = word.removesuffix(ending)
            return before + new if measure(before) >= least else word
    return word


def plural(word: str) -> str:
    """Step 1a."""
    if word.endswith("ies"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("sses"):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def past_and_progressive(word: str) -> str:
    """Step 1b."""
    if word.endswith("ied"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if measure(word[:-3]) else word
    before = word[:-2] if word.endswith("ed") else word[:-3] if word.endswith("ing") else ""
    if "v" not in letter_types(before):
        return word
    if before.endswith(("at", "bl", "iz")):
        return before + "e"
    if letter_types(before)[-1] == "c" and before[-2:] == 2 * before[-1]:
        return before if before[-1] in "lsz" else before[:-1]
    return before + "e" if measure(before) == 1 and ends_cvc(before) else before


def double_suffix(word: str) -> str:
    """Step 2."""
    if word.endswith("logi"):  # the l belongs to the stem: "geologi"
        return word[:-1] if measure(word[:-3]) else word
    new = replaced(word, STEP_2, least=1)
    return double_suffix(new) if word.endswith("alli") and new != word else new


def remove_suffix(word: str) -> str:
    """Step 4."""
    if word.endswith(("sion", "tion")):
        return word[:-3] if measure(word[:-3]) > 1 else word
    return replaced(word, STEP_4, least=2)


def final_e_and_l(word: str) -> str:
    """Step 5."""
    if word.endswith("e"):
        before = word[:-1]
        if measure(before) > 1 or (measure(before) == 1 and not ends_cvc(before)):
            word = before
    return word[:-1] if word.endswith("ll") and measure(word[:-1]) > 1 else word
