"""Synthetic English-German pairs: a small synchronous grammar and one lexicon table.

English leaves out what German says: gender, case, endings, the verb at the end. Every English sentence has exactly one German one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from zlib import crc32

from framework.data.formats import Row


# Beings, then things: English singular, plural; gender; German singular, plural. Verbs: English base, third person, past;
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
forget forgets forgot vergessen vergisst vergessen | need needs needed brauchen braucht gebraucht | draw draws drew zeichnen zeichnet gezeichnet
"""
BEINGS, THINGS, VERBS = ([entry.split() for entry in part.replace("\n", "|").strip("|").split("|")] for part in LEXICON.split("\n\n"))
ADJECTIVES = {
    "old": "alt",
    "young": "jung",
    "small": "klein",
    "big": "groß",
    "beautiful": "schön",
    "new": "neu",
    "red": "rot",
    "good": "gut",
}
ADVERBS = {"today": "heute", "often": "oft", "now": "jetzt", "there": "dort", "here": "hier", "sometimes": "manchmal"}
MODALS = {"can": ("kann", "können"), "must": ("muss", "müssen"), "should": ("sollte", "sollten")}
PREPOSITIONS = {"with": ("mit", "d"), "without": ("ohne", "a"), "behind": ("hinter", "d"), "for": ("für", "a")}
SPEAKING = {"says": "sagt", "thinks": "denkt", "writes": "schreibt"}
PRONOUNS = {"m": "er", "f": "sie", "n": "es", "p": "sie"}  # "it" is what it stands for

# Endings by case (nominative, accusative, dative), then by gender (m, f, n, plural): of the articles, of the adjective behind them
DER = {"n": "der die das die", "a": "den die das die", "d": "dem der dem den"}
EIN = {"n": "- e - e", "a": "en e - e", "d": "em er em en"}
BEHIND_DER = {"n": "e e e en", "a": "en e e en", "d": "en en en en"}
BEHIND_EIN = {"n": "er e es en", "a": "en e es en", "d": "en en en en"}
STEMS = {"a": "ein", "no": "kein", "my": "mein"}


def ending(endings: dict[str, str], case: str, gender: str) -> str:
    return endings[case].split()["mfnp".index(gender)].replace("-", "")


@dataclass(frozen=True)
class Phrase:
    """A noun with its article (the, a, no, my) and perhaps an adjective."""

    noun: list[str]
    plural: bool
    article: str
    adjective: str

    @property
    def gender(self) -> str:
        return "p" if self.plural else self.noun[2]

    def english(self) -> str:
        words = f"{self.adjective} {self.noun[self.plural]}".strip()
        return f"{self.article}{'n' if self.article == 'a' and words[0] in 'aeiou' else ''} {words}"

    def german(self, case: str) -> str:
        definite = self.article == "the"
        article = ending(DER, case, self.gender) if definite else STEMS[self.article] + ending(EIN, case, self.gender)
        noun = self.noun[3 + self.plural]
        noun += "n" if case == "d" and self.plural and noun[-1] not in "ns" else ""  # the dative plural
        if not self.adjective:
            return f"{article} {noun}"
        return f"{article} {ADJECTIVES[self.adjective]}{ending(BEHIND_DER if definite else BEHIND_EIN, case, self.gender)} {noun}"


@dataclass(frozen=True)
class Clause:
    """Who does what to whom. tense: present, past, or a modal verb."""

    subject: Phrase
    verb: list[str]
    object: Phrase
    tense: str
    negated: bool
    adverb: str
    addition: tuple[str, Phrase] | None

    def english(self, question: bool = False) -> str:
        base, third, past, *_ = self.verb
        auxiliary = {"present": "do" if self.subject.plural else "does", "past": "did"}.get(self.tense, self.tense)
        plain = self.tense in ("present", "past") and not self.negated and not question
        verb = {"present": base if self.subject.plural else third, "past": past}[self.tense] if plain else base
        negation = "not" if self.negated else ""
        before = (
            [auxiliary, self.subject.english(), negation] if question else [self.subject.english(), "" if plain else auxiliary, negation]
        )
        addition = f"{self.addition[0]} {self.addition[1].english()}" if self.addition else ""
        return join("" if question else self.adverb, *before, verb, self.object.english(), addition)

    def german(self, order: str) -> str:
        """order: the finite verb is `second`, `first` (a question) or `last` (a subordinate clause)."""
        _, _, _, infinitive, third, participle = self.verb
        finite, other = (infinitive if self.subject.plural else third), ""
        if self.tense == "past":  # what English tells in the past tense, spoken German tells in the perfect
            finite, other = ("haben" if self.subject.plural else "hat"), participle
        elif self.tense != "present":
            finite, other = MODALS[self.tense][self.subject.plural], infinitive
        none = self.negated and self.object.article == "a"  # not a = kein
        thing = replace(self.object, article="no" if none else self.object.article).german("a")
        preposition, case = PREPOSITIONS[self.addition[0]] if self.addition else ("", "")
        addition = f"{preposition} {self.addition[1].german(case)}" if self.addition else ""
        rest = [thing, "nicht" if self.negated and not none else "", addition, other]
        subject, adverb = self.subject.german("n"), ADVERBS.get(self.adverb, "")
        if order == "last":
            return join(subject, adverb, *rest, finite)
        if order == "first":
            return join(finite, subject, *rest)
        return join(adverb or subject, finite, subject if adverb else "", *rest)


def join(*words: str) -> str:
    return " ".join(word for word in words if word)


def phrase(random: Random, nouns: list[list[str]], articles: str = "the the a my no") -> Phrase:
    article, plural = random.choice(articles.split()), random.random() < 0.3
    adjective = random.choice(list(ADJECTIVES)) if random.random() < 0.4 else ""
    return Phrase(random.choice(nouns), plural and article != "a", article, adjective)


def clause(random: Random, split: str, objects: list[list[str]]) -> Clause:
    """A clause whose subject, verb and object meet in this split alone."""
    while True:
        subject, verb, thing = phrase(random, BEINGS), random.choice(VERBS), phrase(random, objects)
        part = crc32(f"{subject.noun[0]} {verb[0]} {thing.noun[0]}".encode()) % 20
        if subject.noun != thing.noun and "no" != subject.article and split == {0: "validation", 1: "test"}.get(part, "train"):
            break
    tense = random.choice(["present", "present", "past", "past", *MODALS])
    negated = tense in ("present", "past") and thing.article != "no" and random.random() < 0.25
    adverb = random.choice(list(ADVERBS)) if random.random() < 0.3 else ""
    addition = (random.choice(list(PREPOSITIONS)), phrase(random, THINGS, "the a my")) if random.random() < 0.25 else None
    return Clause(subject, verb, thing, tense, negated, adverb, addition)


def sentence(random: Random, split: str) -> tuple[str, str]:
    kind = random.choice(["plain", "plain", "question", "that", "because", "reason"])
    main = clause(random, split, THINGS if kind == "reason" else BEINGS + THINGS)
    english, german, stop = main.english(), main.german("second"), "."
    if kind == "question":
        english, german, stop = main.english(question=True), replace(main, adverb="").german("first"), "?"
    elif kind == "that":
        speaker, says = phrase(random, BEINGS, "the a my"), random.choice(list(SPEAKING))
        speaker = replace(speaker, plural=False)
        english, german = (
            f"{speaker.english()} {says} that {english}",
            f"{speaker.german('n')} {SPEAKING[says]}, dass {main.german('last')}",
        )
    elif kind == "because":
        other = clause(random, split, BEINGS + THINGS)
        english, german = f"{english} because {other.english()}", f"{german}, weil {other.german('last')}"
    elif kind == "reason":
        pronoun, quality = PRONOUNS[main.object.gender], random.choice(list(ADJECTIVES))
        english += f" because {'they are' if main.object.plural else 'it is'} {quality}"
        german += f", weil {pronoun} {ADJECTIVES[quality]} {'sind' if main.object.plural else 'ist'}"
    return english[0].upper() + english[1:] + stop, german[0].upper() + german[1:] + stop


def pairs(split: str, count: int) -> Iterator[Row]:
    """`count` different pairs of a split, always the same ones."""
    random, seen = Random(f"translation {split}"), set()
    while len(seen) < count:
        english, german = sentence(random, split)
        if english not in seen:
            seen.add(english)
            yield {"source": english, "target": german}
