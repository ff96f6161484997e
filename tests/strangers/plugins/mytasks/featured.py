"""Tags of words, read from the words and from how sure a first tagger was of each."""

from random import Random

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from framework import Average, Format, Result, Task, choice, register, texts_of


@register("format")
class FeaturedFormat(Format):
    """Words, the score of a first tagger for each, and a tag for each. Collobert et al. 2011, section 6"""

    columns, optional = ("words", "scores", "tags"), ("tags",)

    def tokenizer_texts(self, row):
        return texts_of(row, "words")

    def fit(self, rows):
        return {"labels": tuple(sorted({tag for row in rows for tag in row["tags"]}))}

    def from_text(self, text):
        words, _, scores = text.partition("|||")
        try:
            return {"words": words.split(), "scores": [float(score) for score in scores.split()]}
        except ValueError:
            raise ValueError(f"a text is WORDS ||| SCORES, with a number for each word, not {text!r}") from None

    def encode(self, row, tokenizer, spec):
        words, scores = texts_of(row, "words") if row["words"] else [], row["scores"]
        if not isinstance(scores, list) or not all(isinstance(score, float) for score in scores):
            raise ValueError(f"column 'scores' must be a list of floats, and is {scores!r} of type {type(scores).__name__}")
        tags = texts_of(row, "tags") if row.get("tags") is not None else [None] * len(words)
        if not words or not len(words) == len(scores) == len(tags):
            raise ValueError(f"there are {len(words)} words, {len(scores)} scores and {len(tags)} tags")
        tokens = [(spec.begin, 0, 0.0, 0)]
        for word, score, tag in zip(words, scores, tags, strict=True):
            pieces = tokenizer.encode(word) or [spec.unknown or 0]
            tokens += [(id, int(n == 0), score, 1 + spec.labels.index(tag) if tag and n == 0 else 0) for n, id in enumerate(pieces)]
        if len(tokens) > spec.max_length:
            raise ValueError(f"{len(tokens)} tokens are more than the model takes ({spec.max_length})")
        features = dict(zip(("ids", "heads", "scores", "tags"), map(list, zip(*tokens, strict=True)), strict=True))
        return features if row.get("tags") is not None else {name: features[name] for name in ("ids", "heads", "scores")}

    def builtin(self, split, seed):
        random = Random(split)
        for _ in range(600 if split == "train" else 60):
            words = [random.choice("run walk light saw can".split()) for _ in range(5)]
            scores = [random.choice([0.25, 0.75]) for _ in words]
            tags = [f"{word[0]}-{'verb' if score > 0.5 else 'noun'}" for word, score in zip(words, scores, strict=True)]
            yield {"words": words, "scores": scores, "tags": tags}


@register("task")
class FeaturedTask(Task):
    """Tags by a linear layer over hidden states and scores."""

    format, monitor, mode = choice("format", "featured"), "validation/accuracy", "max"
    rules = {"'decoder' not in provided": "a text is read at once: choose model=encoder_only"}

    def __init__(self, **options):
        super().__init__(**options)
        self.score, self.head = nn.Linear(1, self.model.dim), nn.Linear(self.model.dim, len(self.spec.labels))

    def forward(self, batch):
        states = self.model(batch["ids"], padding_mask=batch["padding_mask"])
        scores = batch["scores"][..., None].to(states.dtype)
        logits = self.head(torch.tanh(states + self.score(scores)))  # (B, T, C)
        if "tags" not in batch:
            return Result.of(logits.new_zeros(0), logits)
        return Result(cross_entropy(logits.mT, batch["tags"] - 1, reduction="sum", ignore_index=-1), (batch["tags"] > 0).sum(), logits)

    def rows(self, result, batch):
        best = [
            [self.spec.labels[n] for n in row[heads.bool()].tolist()]
            for row, heads in zip(result.output.argmax(-1), batch["heads"], strict=True)
        ]
        return [
            {"input": raw["words"], "reference": raw.get("tags"), "prediction": tags}
            for raw, tags in zip(batch["@rows"].raw, best, strict=True)
        ]

    def metrics(self):
        return {"accuracy": Average()}

    def update(self, metrics, rows):
        metrics["accuracy"].update([float(a == b) for row in rows for a, b in zip(row["prediction"], row["reference"], strict=True)])
