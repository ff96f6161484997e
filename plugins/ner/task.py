"""Named entity recognition by tagging words.

Shapes: B texts, R windows of them, T subwords, W words, K features of a word, D model width, C tags.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from framework import (
    Baseline,
    BaselineData,
    Batch,
    Calibrated,
    DataSpec,
    Distillable,
    DistillationOutputs,
    Dropout,
    Exportable,
    Part,
    Result,
    Row,
    TokenFeatures,
    UserError,
    choice,
    highlighted,
    register,
)

from .baseline import predicted
from .chain import Posterior
from .data import NerFormat
from .heads import FORBIDDEN
from .linear import FOLDS, LinearScores, fold_of
from .perceptron import MOST_WORDS, Perceptron, first
from .schemes import entities, parse, tags_of, write
from .word_features import FEATURES, PROPERTIES

if TYPE_CHECKING:
    from torchmetrics import Metric  # imported where metrics are made: takes a second


class Words(NamedTuple):
    """Outputs for the words of a batch."""

    states: Tensor  # (B, W, D)
    scores: Tensor  # (B, W, C)
    padding_mask: Tensor  # (B, W)
    aligned: Tensor  # (B, W): words that a subword represents


@register("task")
class NerTask(Distillable, Exportable, Calibrated):
    """Entities in a text, by a tag for each word. Devlin et al. 2019, section 5.3, https://arxiv.org/abs/1810.04805

    A text longer than the model is split into overlapping windows; each word is tagged in the one with most context on both sides.

    head: from the hidden states of words to a legal sequence of tags.
    dropout: dropout probability of the hidden states of words.
    word_dropout: probability that training masks a word, so that its context has to predict the tag. Iyyer et al. 2015, section 3.1,
        https://aclanthology.org/P15-1162
    """

    format = choice("format", "ner")
    reads = ("ids", "padding_mask", "word_ids", "word_mask", "num_words", "tags")
    rules: ClassVar[dict[str, str]] = {
        "'cross' not in provided": "this task has one text: choose an encoder or a decoder, not an encoder-decoder",
        "'encoder' in provided or 'whole_words' in provided": "the first subword of a word in a decoder has no attention to the others; "
        "task.format.pieces=last or all represent the whole word",
        "'untied' not in provided": "no text is generated, so an untied lm_head would never learn; model.tied=true has none",
        "0 <= dropout < 1": "dropout must be in [0, 1)",
        "0 <= word_dropout < 1": "word_dropout must be in [0, 1)",
    }
    hf_task = "token-classification"
    monitor = "validation/f1"
    mode = "max"
    model: Any  # an encoder or a decoder: states (R, T, D) of ids (R, T)
    begins: Tensor  # (C,): tags that do not continue an entity

    def __init__(
        self,
        model: Part,
        spec: DataSpec,
        format: NerFormat,
        dropout: float = 0.1,
        word_dropout: float = 0.0,
        head: Part = choice("tag_head", "softmax"),
    ):
        super().__init__(model, spec, format)
        if word_dropout and spec.mask is None:
            raise UserError("task.word_dropout needs a tokenizer with a mask token, and this one has none: task.word_dropout=0")
        self.word_dropout = word_dropout
        self.dropout = Dropout(dropout)
        self.tags = tags_of(spec.labels, format.scheme)
        self.head = head(dim=self.model.dim, tags=self.tags, scheme=format.scheme)
        self.linear = LinearScores(format.word_features, len(self.tags)) if format.word_features else None
        self.parsed_tags = [parse(tag) for tag in self.tags]
        self.head_variant = f"{format.pieces} piece, {self.head.variant}" + (", word features" if format.word_features else "")
        self.register_buffer("begins", torch.tensor([tag.letter not in "IE" for tag in self.parsed_tags]), persistent=False)

    def set_initial_weights(self, rows: Iterable[Row], batches: Iterable[Batch]) -> None:
        """Trains the linear tagger, once on all rows and once without each fold; its transitions are the initial ones of a CRF."""
        if self.linear is None:
            return
        sentences = first(map(self.format.parse, rows), MOST_WORDS)

        def tagger_without(fold: int | None) -> Perceptron:
            others = [row for row in sentences if fold is None or fold_of(row.tokens) != fold]
            return Perceptron(others, self.spec.labels, self.format.scheme, self.format.word_features)

        whole, *parts = [tagger_without(fold) for fold in (None, *range(FOLDS))]
        self.linear.set([torch.from_numpy(tagger.weights) for tagger in (whole, *parts)])
        self.head.set_transitions(self.linear.scale.detach() * torch.from_numpy(whole.steps))

    def hf_config(self) -> dict[str, Any]:
        return {"id2label": dict(enumerate(self.tags))}

    def export_forward(self, batch: Batch) -> Tensor:
        """Scores of subwords. A word's are the mean of those of the subwords that represent it: scores are linear in the states."""
        scores = self.head.scores(self.dropout(self.model(batch["ids"], padding_mask=batch["padding_mask"])))  # (B, T, C)
        return (scores if self.linear is None else scores + self.linear(batch["features"])) / self.temperature

    def export_features(self) -> TokenFeatures | None:
        return None if self.linear is None else TokenFeatures(len(FEATURES), self.format.word_features)

    def postprocessing(self) -> dict[str, Any]:
        """pieces: the subwords that represent a word. start, step, end: the chain whose likeliest sequence is the prediction: start +
        scores of the first word + step from tag to tag + scores ... + end. normalized: scores go through log_softmax first. word_features:
        the properties of words, and the features that are hashed from them (docs/export.md); each subword has those of its word."""
        chain = self.head.chain(self.begins.new_zeros(1, 1, len(self.tags), dtype=torch.float32), self.begins.new_ones(1, 1))
        chain = chain.tempered(self.temperature)
        tables = {name: getattr(chain, name).clamp(min=FORBIDDEN).tolist() for name in ("start", "step", "end")}
        tables |= (
            {}
            if self.linear is None
            else {"word_features": {"buckets": self.format.word_features, "properties": PROPERTIES, "features": FEATURES}}
        )
        return {"pieces": self.format.pieces, "normalized": self.head.normalized, **tables}

    def forward(self, batch: Batch) -> Result:
        words = self.words(batch)
        if "tags" not in batch:
            return Result.of(words.scores.new_zeros(0), words)
        return Result(self.head.loss(words.scores, batch["tags"], words.padding_mask), words.aligned.sum(), words)

    def distillation_outputs(self, batch: Batch, result: Result) -> DistillationOutputs:
        words: Words = result.output
        logits = self.head.marginal_logits(words.scores, words.padding_mask)
        return DistillationOutputs(words.states[words.aligned], logits[words.aligned])  # (N, D), (N, C)

    def words(self, batch: Batch) -> Words:
        """Outputs for words, from those of their subwords in all windows."""
        rows, most = len(batch["num_words"]), _most_words(batch)
        word = batch["word_ids"].masked_fill(~batch["word_mask"], rows * most).flatten()
        states = self.model(self._masked(batch), padding_mask=batch["padding_mask"])  # (R, T, D)
        counts = states.new_zeros(rows * most + 1, dtype=torch.long).index_add(0, word, torch.ones_like(word))[:-1].view(rows, most)
        sums = states.new_zeros(rows * most + 1, states.shape[-1]).index_add(0, word, states.flatten(0, 1))
        means = sums[:-1].view(rows, most, -1) / counts.clamp(min=1)[..., None]  # (B, W, D)
        padding_mask = torch.arange(most, device=word.device) < batch["num_words"][:, None]  # (B, W)
        unaligned = padding_mask & (counts == 0)
        added = None
        if self.linear is not None:
            assert "word_features" in batch and "fold" in batch  # the format has the same table of features
            added = self.linear(batch["word_features"], batch["fold"] if self.training else None)  # (B, W, C)
        return Words(means, self.head(self.dropout(means), unaligned, added), padding_mask, padding_mask & ~unaligned)

    def _masked(self, batch: Batch) -> Tensor:
        """ids (R, T), in training with all subwords of a share of the words masked, in every window alike."""
        ids = batch["ids"]
        if not (self.training and self.word_dropout) or self.spec.mask is None:
            return ids
        words = len(batch["num_words"]) * _most_words(batch)
        masked = torch.rand(words + 1, device=ids.device) < self.word_dropout
        masked[-1].fill_(False)
        return ids.masked_fill(masked[batch["word_ids"]], self.spec.mask)

    @torch.no_grad()
    def rows(self, result: Result, batch: Batch) -> list[dict[str, Any]]:
        """Tags are IOB2, whatever the model's. The score of an entity is the probability of exactly its words and its type."""
        words: Words = result.output
        chain = self.head.chain(words.scores, words.padding_mask).tempered(self.temperature)
        posterior = Posterior(chain)
        begins = self.begins.cpu()
        rows = []
        for number, (raw, path) in enumerate(zip(batch["@rows"].raw, chain.best(), strict=True)):
            parsed = self.format.parse(raw)
            predicted = entities(self.parsed_tags[tag] for tag in path)
            scores = [posterior.probability(number, start, path[start:end], begins) for start, end, _ in predicted]
            row: dict[str, Any] = {"input": parsed.text, "tokens": parsed.tokens, "predicted_tags": write(predicted, len(path))}
            if parsed.entities is not None:
                row |= {"reference_tags": write(parsed.entities, len(path)), "reference": [parsed.span(each) for each in parsed.entities]}
            row["prediction"] = [{**parsed.span(entity), "score": score} for entity, score in zip(predicted, scores, strict=True)]
            rows.append(row)
        return rows

    def losses_at(self, result: Result, batch: Batch, temperatures: Sequence[float]) -> Tensor:
        """Of whole sequences. Texts with a word that no subword represents are left out: its tag is not the model's."""
        words: Words = result.output
        whole = (words.aligned == words.padding_mask).all(dim=1) & words.padding_mask.any(dim=1)
        if not whole.any():
            return words.scores.new_zeros(len(temperatures))
        scores, tags = words.scores[whole], batch["tags"][whole]
        chain = self.head.chain(scores, words.padding_mask[whole])
        chains = [chain.tempered(each) for each in temperatures]
        return torch.stack([(each.log_partition() - each.score(tags)).sum() for each in chains])

    def metrics(self) -> dict[str, "Metric"]:
        from framework import CalibrationError

        from .metrics import SpanF1

        return {"entities": SpanF1(self.spec.labels), "calibration_error": CalibrationError()}

    def update(self, metrics: dict[str, "Metric"], rows: list[dict[str, Any]]) -> None:
        """The calibration error is that of the predicted entities; rows of a baseline have tags alone."""
        metrics["entities"].update([row["predicted_tags"] for row in rows], [row["reference_tags"] for row in rows])
        if all("prediction" in row for row in rows):
            scores = [[entity["score"] for entity in row["prediction"]] for row in rows]
            right = [[_span(entity) in row["reference"] for entity in row["prediction"]] for row in rows]
            metrics["calibration_error"].update(scores, right)

    def table(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The entities of each text as words, and in colors in the text."""
        return [{"row": row.get("row"), "input": row["input"], **_shown(row)} for row in rows]

    def hints(self, config: Mapping[str, Any]) -> Iterator[str]:
        if self.linear is None:
            yield "task.format.word_features=65536: a linear tagger of word features is trained first, and the model corrects it"

    def baseline(self, data: BaselineData) -> Baseline:
        """An averaged structured perceptron on features of words."""
        return {"": list(predicted(map(self.format.parse, data.train), map(self.format.parse, data.test), self.spec.labels))}


def _span(entity: dict[str, Any]) -> dict[str, Any]:
    """A predicted entity without its probability, as a reference has it."""
    return {name: value for name, value in entity.items() if name != "score"}


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """The columns `reference` and `prediction` of a row, and both again in colors."""
    named: dict[str, Any] = {name: row[name] for name in ("reference", "prediction") if name in row}
    texts = {name: ", ".join(f"{entity['text']} ({entity['type']})" for entity in found) for name, found in named.items()}
    spans = {name: [(entity["start"], entity["end"], entity["type"]) for entity in found] for name, found in named.items()}
    return {**texts, **{f"{name} in text": highlighted(row["input"], each) for name, each in spans.items()}}


def _most_words(batch: Batch) -> int:
    """W. A batch without tags, to predict from, has it on the device, which is waited for."""
    return batch["tags"].shape[1] if "tags" in batch else int(batch["num_words"].max())
