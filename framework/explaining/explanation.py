"""Explanation of a text by the model of a run: attention by layer and head, and the vectors of words, layer by layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from framework.data.formats import Row
from framework.data.pairs import PairFormat
from framework.errors import UserError
from framework.explaining.recording import Array, HeadWeights, Recording, recorded
from framework.explaining.words import Word, cosine, pieces, vectors, words
from framework.runs.predictor import Predictor, moved

NEAREST = 3  # words that are named


@dataclass(frozen=True)
class Explanation:
    """A text as a model reads it.

    answer: as of `predict`. tokens: the pieces of the input of each stack. words: of each stack. windows: into how many parts the format
    splits the text; the recording is of the first.
    """

    text: str
    answer: Mapping[str, Any]
    tokens: Mapping[str, list[str]]
    words: Mapping[str, list[Word]]
    recording: Recording
    windows: int = 1

    @property
    def attention(self) -> list[HeadWeights]:
        return self.recording.attention

    @property
    def reading(self) -> str:
        """The stack that reads the text, the encoder where there is one."""
        return next(iter(self.recording.vectors))

    def word_vectors(self) -> Array:
        """(L + 1, W, D), of the words of the stack that reads the text."""
        return vectors(self.recording.vectors[self.reading], self.words[self.reading])

    def moves(self) -> Array:
        """(L + 1, W): the cosine of the vector of each word after each layer with that before the first one."""
        found = self.word_vectors()
        return cosine(found, found[:1])


@dataclass(frozen=True)
class Shared:
    """A word that two texts have in common.

    places: in the words of both. similarity: (L + 1,), the cosine of its two vectors after each layer. nearest: of each text, the words of
    both texts that are nearest to it after the last layer, with their cosines.
    """

    text: str
    places: tuple[int, int]
    similarity: Array
    nearest: tuple[list[tuple[str, float]], list[tuple[str, float]]]


def explained(predictor: Predictor, text: str, target: str | None = None) -> Explanation:
    """The explanation of a text by a trained run. target: the text that the decoder of an encoder-decoder reads; None = what it predicts.
    UserError: the format cannot encode the text; the model has no stack of layers."""
    (answer,) = predictor.predict([text])
    row: Row = predictor.format.from_text(text)
    if isinstance(predictor.format, PairFormat):
        row = {**row, predictor.format.columns[1]: answer["prediction"] if target is None else target}
    elif target is not None:
        raise UserError("target= is the text that the decoder of a translation or a summary reads; this run has none")
    device = next(predictor.task.parameters()).device
    batch = predictor.batch([row], whole=True)
    found = recorded(predictor.task, moved(batch, device))
    if not found.vectors:
        raise UserError(f"{predictor.config['model']['part']} has no stack of layers that could be watched (`Stack`)")
    tokens = {stack: pieces(predictor.tokenizer, ids) for stack, ids in found.ids.items()}
    spelled = {stack: words(predictor.tokenizer, ids) for stack, ids in found.ids.items()}
    return Explanation(text, answer, tokens, spelled, found, len(batch["ids"]) if "ids" in batch else 1)


def shared(one: Explanation, other: Explanation) -> list[Shared]:
    """The words that two texts have in common, in the order of the first; one that occurs several times meets its counterparts in order."""
    both, spelled = (one, other), [each.words[each.reading] for each in (one, other)]
    states = [each.word_vectors() for each in both]
    left = {place: word.text.casefold() for place, word in enumerate(spelled[1])}
    found = []
    for place, word in enumerate(spelled[0]):
        match = next((number for number, text in left.items() if text == word.text.casefold()), None)
        if match is None:
            continue
        del left[match]
        similarity = cosine(states[0][:, place], states[1][:, match])
        nearest = [_nearest(states, spelled, text, number) for text, number in ((0, place), (1, match))]
        found.append(Shared(word.text, (place, match), similarity, (nearest[0], nearest[1])))
    return found


def _nearest(states: Sequence[Array], spelled: Sequence[Sequence[Word]], text: int, place: int) -> list[tuple[str, float]]:
    """The words of both texts whose vectors are nearest to one, without the same word elsewhere."""
    own = spelled[text][place].text.casefold()
    scored: dict[str, float] = {}
    for each, found in zip(states, spelled, strict=True):
        for word, score in zip(found, cosine(each[-1], states[text][-1, place]).tolist(), strict=True):
            if word.text.casefold() != own:
                scored[word.text] = max(score, scored.get(word.text, -1.0))
    return sorted(scored.items(), key=lambda item: -item[1])[:NEAREST]
