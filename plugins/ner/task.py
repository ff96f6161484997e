"""Which words of a text name something, and what.

Shapes: B texts, R windows of them, T pieces, W words, D model width, C tags.
"""

from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from framework.data.formats import Batch
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.generation.engine import Decode
from framework.registry import Part, choice, register
from framework.tasks.base import Result
from framework.tasks.capabilities import Distillable, DistillationOutputs, Exportable

from .chain import Posterior
from .heads import FORBIDDEN
from .metrics import SpanF1
from .schemes import entities, parse, tags_of, write
from .sentences import WORD, sentence


class Words(NamedTuple):
    """What was read of the words of a batch."""

    states: Tensor  # (B, W, D)
    scores: Tensor  # (B, W, C)
    padding_mask: Tensor  # (B, W)
    silent: Tensor  # (B, W): real, without a piece to speak for it


@register("task")
class NerTask(Distillable, Exportable):
    """Entities in a text, by a tag for each word. Devlin et al. 2019, section 5.3, https://arxiv.org/abs/1810.04805

    A text longer than the model is read in overlapping windows; each word is tagged from the one where it sees most on both sides.

    head: from the states of words to a legal sequence of tags.
    dropout: share of the words' features that training leaves out.
    word_dropout: share of the words that training masks, so that the words around them learn to tell. Iyyer et al. 2015, section
        3.1, https://aclanthology.org/P15-1162
    """

    format = choice("format", "ner")
    rules: ClassVar[dict[str, str]] = {
        "'cross' not in provided": "an encoder-decoder reads one text to write another, and here there is only one",
        "'encoder' in provided or 'whole_words' in provided": "the first piece of a word in a decoder has not seen the rest of it; "
        "task.format.pieces=last or all have",
        "'untied' not in provided": "no text is written here, so an output layer of its own would never learn; model.tied=true has none",
        "0 <= dropout < 1": "dropout is a share of the features",
        "0 <= word_dropout < 1": "word_dropout is a share of the words",
    }
    hf_task = "token-classification"
    monitor = "validation/f1"
    mode = "max"
    model: Any  # an encoder or a decoder: states (R, T, D) of ids (R, T)
    begins: Tensor  # (C,): tags that go on with no entity

    def __init__(
        self,
        model: Part,
        spec: DataSpec,
        dropout: float = 0.1,
        word_dropout: float = 0.0,
        head: Part = choice("tag_head", "softmax"),
    ):
        super().__init__()
        if word_dropout and spec.mask is None:
            raise UserError("task.word_dropout needs a tokenizer with a mask token, and this one has none")
        self.spec, self.word_dropout = spec, word_dropout
        self.model = model(spec=spec)
        self.dropout = nn.Dropout(dropout)
        scheme = spec.statistics.get("scheme", "iob2")
        tags = tags_of(spec.labels, scheme)
        self.head = head(dim=self.model.dim, tags=tags, scheme=scheme)
        self.tags = [parse(tag) for tag in tags]
        self.head_variant = f"{spec.statistics.get('pieces', 'first')} piece, {self.head.variant}"
        self.word_pattern = spec.statistics.get("word_pattern", WORD)
        self.register_buffer("begins", torch.tensor([tag.letter not in "IE" for tag in self.tags]), persistent=False)

    def hf_config(self) -> dict[str, Any]:
        return {"id2label": dict(enumerate(tags_of(self.spec.labels, self.spec.statistics.get("scheme", "iob2"))))}

    def export_forward(self, batch: Batch) -> Tensor:
        """Of pieces; a word's are the mean of those of the pieces that speak for it, because scores are linear in states."""
        return self.head.scores(self.dropout(self.model(batch["ids"], padding_mask=batch["padding_mask"])))  # (B, T, C)

    def postprocessing(self) -> dict[str, Any]:
        """Which pieces speak for a word, and the chain whose likeliest sequence is the answer: `normalized` says that each word's scores
        go through log_softmax first; start + scores of the first word + step from tag to tag + scores ... + end."""
        chain = self.head.chain(self.begins.new_zeros(1, 1, len(self.tags), dtype=torch.float32), self.begins.new_ones(1, 1))
        tables = {name: getattr(chain, name).clamp(min=FORBIDDEN).tolist() for name in ("start", "step", "end")}
        return {"pieces": self.spec.statistics.get("pieces", "first"), "normalized": self.head.normalized, **tables}

    def forward(self, batch: Batch) -> Result:
        words = self.read(batch)
        return Result(self.head.loss(words.scores, batch["tags"], words.padding_mask), (words.padding_mask & ~words.silent).sum(), words)

    def distillation_outputs(self, batch: Batch, result: Result) -> DistillationOutputs:
        words: Words = result.output
        spoken = words.padding_mask & ~words.silent
        return DistillationOutputs(
            words.states[spoken], self.head.marginal_logits(words.scores, words.padding_mask)[spoken]
        )  # (N, D), (N, C)

    def read(self, batch: Batch) -> Words:
        """Words from their pieces, whatever the windows."""
        rows, most = len(batch["words"]), int(batch["words"].max())
        word = batch["word"].masked_fill(~batch["speaks"], rows * most).flatten()
        states = self.model(self._masked(batch), padding_mask=batch["padding_mask"])  # (R, T, D)
        voices = torch.bincount(word, minlength=rows * most + 1)[:-1].view(rows, most)
        sums = states.new_zeros(rows * most + 1, states.shape[-1]).index_add(0, word, states.flatten(0, 1))
        means = sums[:-1].view(rows, most, -1) / voices.clamp(min=1)[..., None]  # (B, W, D)
        padding_mask = torch.arange(most, device=word.device) < batch["words"][:, None]  # (B, W)
        silent = padding_mask & (voices == 0)
        return Words(means, self.head(self.dropout(means), silent), padding_mask, silent)

    def _masked(self, batch: Batch) -> Tensor:
        """ids (R, T), in training with all pieces of a share of the words masked, in every window alike."""
        ids = batch["ids"]
        if not (self.training and self.word_dropout) or self.spec.mask is None:
            return ids
        words = len(batch["words"]) * int(batch["words"].max())
        masked = torch.rand(words + 1, device=ids.device) < self.word_dropout
        masked[-1] = False
        return ids.masked_fill(masked[batch["word"]], self.spec.mask)

    def predict(self, batch: Batch, decode: Decode) -> list[dict[str, Any]]:
        return self._rows(batch, self.read(batch))

    def evaluate(self, batch: Batch, decode: Decode) -> tuple[Result, list[dict[str, Any]]]:
        result = self(batch)
        return result, self._rows(batch, result.output)

    @torch.no_grad()
    def _rows(self, batch: Batch, words: Words) -> list[dict[str, Any]]:
        """Tags are IOB2, whatever the model's. The score of an entity is its probability: exactly these words, exactly this type."""
        chain = self.head.chain(words.scores, words.padding_mask)
        posterior = Posterior(chain)
        begins = self.begins.cpu()
        rows = []
        for number, (raw, path) in enumerate(zip(batch["raw"], chain.best(), strict=True)):
            read = sentence(raw, self.word_pattern)
            found = entities(self.tags[tag] for tag in path)
            sure = [posterior.probability(number, start, path[start:end], begins) for start, end, _ in found]
            row: dict[str, Any] = {"input": read.text, "tokens": read.tokens, "predicted_tags": write(found, len(path))}
            if read.entities is not None:
                row |= {"reference_tags": write(read.entities, len(path)), "reference": [read.piece(entity) for entity in read.entities]}
            row["prediction"] = [{**read.piece(entity), "score": score} for entity, score in zip(found, sure, strict=True)]
            rows.append(row)
        return rows

    def metrics(self) -> dict[str, Metric]:
        return {"entities": SpanF1(self.spec.labels)}

    def update(self, metrics: dict[str, Metric], rows: list[dict[str, Any]]) -> None:
        metrics["entities"].update([row["reference_tags"] for row in rows], [row["predicted_tags"] for row in rows])
