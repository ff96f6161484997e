"""Built-in rows: synthetic English-German pairs from a small synchronous grammar and one lexicon.

German has gender, case, endings and verbs at the end. Every English sentence has exactly one German translation.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from zlib import crc32

from framework import Row

# Beings, then things: English singular, plural; gender; German singular, plural. Then verbs: English base, third person, past;
# German infinitive, third person singular, participle.
LEXICON = """
man men m Mann Männer | woman women f Frau Frauen | child children n Kind Kinder | dog dogs m Hund Hunde | cat cats f Katze Katzen
horse horses n Pferd Pferde | teacher teachers m Lehrer Lehrer | girl girls n Mädchen Mädchen | bird birds m Vogel Vögel
neighbor neighbors f Nachbarin Nachbarinnen | doctor doctors m Arzt Ärzte | cow cows f Kuh Kühe | king kings m König Könige

table tables m Tisch Tische | lamp lamps f Lampe Lampen | book books n Buch Bücher | car cars n Auto Autos | apple apples m Apfel Äpfel
letter letters m Brief Briefe | flower flowers f Blume Blumen | house houses n Haus Häuser | garden gardens m Garten Gärten
city cities f Stadt Städte | picture pictures n Bild Bilder | chair chairs m Stuhl Stühle | bag bags f Tasche Taschen

see sees saw sehen sieht gesehen | buy buys bought kaufen kauft gekauft | find finds found finden findet gefunden
love loves loved lieben liebt geliebt | paint paints painted malen malt gemalt | take takes took nehmen nimmt genommen
carry carries carried tragen trägt getragen | know knows knew kennen kennt gekannt | lose loses lost verlieren verliert verloren
"""
BEINGS, THINGS, VERBS = ([entry.split() for entry in part.replace("\n", "|").strip("|").split("|")] for part in LEXICON.split("\n\n"))
ADJECTIVES = {"old": "alt", "young": "jung", "small": "klein", "big": "groß", "beautiful": "schön", "new": "neu", "good": "gut"}
ADVERBS = {"today": "heute", "often": "oft", "now": "jetzt", "there": "dort", "here": "hier", "sometimes": "manchmal"}
MODALS = {"can": ("kann", "können"), "must": ("muss", "müssen"), "should": ("sollte", "sollten")}
PREPOSITIONS = [("with", "mit", "d"), ("without", "ohne", "a"), ("behind", "hinter", "d"), ("for", "für", "a")]  # and their case

# Endings by case (nominative, accusative, dative), then by gender (m, f, n, plural): of articles, of adjectives after them
DER = {"n": "der die das die", "a": "den die das die", "d": "dem der dem den"}
EIN = {"n": "- e - e", "a": "en e - e", "d": "em er em en"}
BEHIND_DER = {"n": "e e e en", "a": "en e e en", "d": "en en en en"}
BEHIND_EIN = {"n": "er e es en", "a": "en e es en", "d": "en en en en"}


@dataclass(frozen=True)
class Phrase:
    """A noun with its article (the, a, no, my) and perhaps an adjective."""

    noun: list[str]
    plural: bool
    article: str
    adjective: str

    def english(self) -> str:
        words = join(self.adjective, self.noun[self.plural])
        return f"{'an' if self.article == 'a' and words[0] in 'aeiou' else self.article} {words}"

    def german(self, case: str) -> str:
        gender = 3 if self.plural else "mfn".index(self.noun[2])
        tables = (DER, BEHIND_DER) if self.article == "the" else (EIN, BEHIND_EIN)
        article, behind = (endings[case].split()[gender].replace("-", "") for endings in tables)
        article = {"the": "", "a": "ein", "no": "kein", "my": "mein"}[self.article] + article
        adjective = ADJECTIVES[self.adjective] + behind if self.adjective else ""
        noun = self.noun[3 + self.plural]
        return join(article, adjective, noun + ("n" if case == "d" and self.plural and noun[-1] not in "ns" else ""))  # dative plural


@dataclass(frozen=True)
class Clause:
    """Subject, verb and object. tense: present, past, or a modal verb. adverb, addition: English and German, or empty."""

    subject: Phrase
    verb: list[str]
    object: Phrase
    tense: str
    negated: bool
    adverb: tuple[str, str]
    addition: tuple[str, str]

    def english(self, question: bool = False) -> str:
        base, third, past, *_ = self.verb
        simple = {"present": ("do", base) if self.subject.plural else ("does", third), "past": ("did", past)}
        auxiliary, verb = simple.get(self.tense, (self.tense, base))
        supported = self.tense in MODALS or self.negated or question  # do-support
        subject, verbs = self.subject.english(), (auxiliary, base) if supported else ("", verb)
        start = [verbs[0], subject] if question else [self.adverb[0], subject, verbs[0]]
        return join(*start, "not" if self.negated else "", verbs[1], self.object.english(), self.addition[0])

    def german(self, order: str) -> str:
        """order: the finite verb is `second`, `first` (a question) or `last` (a subordinate clause). The past becomes the perfect."""
        _, _, _, infinitive, third, participle = self.verb
        plural = self.subject.plural
        simple = {"present": (infinitive if plural else third, ""), "past": ("haben" if plural else "hat", participle)}
        finite, other = simple[self.tense] if self.tense in simple else (MODALS[self.tense][plural], infinitive)
        none = self.negated and self.object.article == "a"  # not a = kein
        thing = replace(self.object, article="no") if none else self.object
        rest = [thing.german("a"), "nicht" if self.negated and not none else "", self.addition[1], other]
        subject, adverb = self.subject.german("n"), self.adverb[1]
        orders = {"last": [subject, adverb, *rest, finite], "first": [finite, subject, *rest]}
        orders["second"] = [adverb, finite, subject, *rest] if adverb else [subject, finite, *rest]
        return join(*orders[order])


def join(*words: str) -> str:
    return " ".join(word for word in words if word)


def phrase(random: Random, nouns: list[list[str]], articles: str) -> Phrase:
    article, plural = random.choice(articles.split()), random.random() < 0.3
    adjective = random.choice(list(ADJECTIVES)) if random.random() < 0.4 else ""
    return Phrase(random.choice(nouns), plural and article != "a", article, adjective)


def clause(random: Random, split: str, objects: list[list[str]]) -> Clause:
    """A clause whose combination of subject, verb and object is in this split alone."""
    while True:
        subject, verb, thing = phrase(random, BEINGS, "the a my"), random.choice(VERBS), phrase(random, objects, "the the a my no")
        part = crc32(f"{subject.noun[0]} {verb[0]} {thing.noun[0]}".encode()) % 20
        if subject.noun != thing.noun and split == {0: "validation", 1: "test"}.get(part, "train"):
            break
    tense = random.choice(["present", "present", "past", "past", *MODALS])
    negated = tense not in MODALS and thing.article != "no" and random.random() < 0.25
    adverb, addition = random.choice([("", "")] * 10 + list(ADVERBS.items())), ("", "")
    if random.random() < 0.25:
        (english, german, case), place = random.choice(PREPOSITIONS), phrase(random, THINGS, "the a my")
        addition = f"{english} {place.english()}", f"{german} {place.german(case)}"
    return Clause(subject, verb, thing, tense, negated, adverb, addition)


def sentence(random: Random, split: str) -> tuple[str, str]:
    kind = random.choice(["plain", "plain", "question", "that", "reason"])
    main = clause(random, split, THINGS if kind == "reason" else BEINGS + THINGS)
    if kind == "question":
        return main.english(question=True) + "?", main.german("first") + "?"
    english, german = main.english(), main.german("second")
    if kind == "that":
        speaker = replace(phrase(random, BEINGS, "the a my"), plural=False)
        return f"{speaker.english()} says that {english}.", f"{speaker.german('n')} sagt, dass {main.german('last')}."
    if kind == "reason":
        quality, thing = random.choice(list(ADJECTIVES)), main.object
        pronoun = "sie" if thing.plural else {"m": "er", "f": "sie", "n": "es"}[thing.noun[2]]  # "it" by the gender of its noun
        because, weil = ("they are", "sind") if thing.plural else ("it is", "ist")
        return f"{english} because {because} {quality}.", f"{german}, weil {pronoun} {ADJECTIVES[quality]} {weil}."
    return f"{english}.", f"{german}."


def pairs(split: str, count: int) -> Iterator[Row]:
    """`count` different pairs of a split, always the same ones."""
    random, seen = Random(f"translation {split}"), set[tuple[str, str]]()
    while len(seen) < count:
        pair = sentence(random, split)
        if pair not in seen:
            seen.add(pair)
            yield {column: text[0].upper() + text[1:] for column, text in zip(("source", "target"), pair, strict=True)}
