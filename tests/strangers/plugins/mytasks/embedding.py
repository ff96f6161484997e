"""Sentence embeddings from pairs: each text's partner against the partners of all others in the global batch."""

from random import Random

import torch
from torch.nn.functional import cross_entropy, normalize
from torchmetrics import Metric

from framework import Format, Result, Task, choice, gather_rows, in_chunks, pad, padding_mask, register, text_of

SUBJECTS = "cat dog king baker child doctor".split()
ACTS = {"sees": "looks at", "buys": "pays for", "eats": "has a bite of", "hides": "conceals", "paints": "draws"}
THINGS = "apple lamp ship tree drum coin bell rope".split()


@register("format")
class EmbeddingFormat(Format):
    """Two texts that mean the same. Reimers and Gurevych 2019, section 3"""

    columns, optional = ("text", "partner"), ("partner",)
    makes = ("ids", "padding_mask")

    def encode(self, row, tokenizer, spec):
        texts = [text_of(row, name) for name in self.columns if row.get(name) is not None]
        return {"texts": [[spec.begin, *tokenizer.encode(text)][: spec.max_length] for text in texts]}

    def length(self, features):
        return max(map(len, features["texts"]))

    def collate(self, features, spec, random):
        """All texts, then all partners: (2 B, T)."""
        rows = [list(ids) for side in zip(*(row["texts"] for row in features), strict=True) for ids in side]
        return {"ids": pad(rows, spec.padding), "padding_mask": padding_mask(rows)}

    def builtin(self, split, seed):
        random = Random(split)
        for _ in range(1000 if split == "train" else 60):
            who, act, what = random.choice(SUBJECTS), random.choice(list(ACTS)), random.sample(THINGS, 2)
            text = f"The {who} {act} the {what[0]} and the {what[1]}."
            yield {"text": text, "partner": f"The {what[0]} and the {what[1]}: the {who} {ACTS[act]} them."}


class Retrieval(Metric):
    """The share of texts that find their partner first among all of the split, and the mean reciprocal rank."""

    def __init__(self):
        super().__init__()
        self.add_state("pairs", [], dist_reduce_fx="cat")

    def update(self, predictions, references):
        self.pairs.append(torch.tensor([predictions, references], dtype=torch.float64).transpose(0, 1))

    def compute(self):
        pairs = self.pairs if isinstance(self.pairs, torch.Tensor) else torch.cat(self.pairs)
        scores = pairs[:, 0] @ pairs[:, 1].T
        rank = (scores > scores.diagonal()[:, None] + 1e-9).sum(1) + 1
        return {"recall_at_1": (rank == 1).double().mean(), "mrr": (1 / rank.double()).mean()}


@register("task")
class EmbeddingTask(Task):
    """Texts as vectors, near to their partner's. Gao et al. 2021, section 2, https://arxiv.org/abs/2104.08821

    temperature: divides the cosines.
    chunk_rows: texts whose activations are in memory at a time; null = all.
    """

    format, monitor, mode = choice("format", "embedding"), "validation/recall_at_1", "max"
    loss_over = "global_batch"
    rules = {
        "'decoder' not in provided": "a text is read at once: choose model=encoder_only",
        "temperature > 0": "temperature must be positive",
    }

    def __init__(self, temperature: float = 0.05, chunk_rows: int | None = None, **options):
        super().__init__(**options)
        self.temperature, self.chunk_rows = temperature, chunk_rows

    def vectors(self, ids, mask):
        states = self.model(ids, padding_mask=mask)  # (B, T, D)
        return normalize((states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True), dim=-1)

    def forward(self, batch):
        mask = torch.ones_like(batch["ids"], dtype=torch.bool) if batch["padding_mask"] is None else batch["padding_mask"]
        vectors = in_chunks(self.vectors, batch["ids"], mask, rows=self.chunk_rows)  # (B or 2 B, D)
        if len(vectors) == len(batch["@rows"].numbers):  # texts without partners
            return Result.of(vectors.new_zeros(0), (vectors, None))
        one, two = vectors.chunk(2)
        return Result.of((self.losses(one, two, batch) + self.losses(two, one, batch)) / 2, (one, two))

    def losses(self, own, partners, batch):
        partners, first = gather_rows(partners, batch)
        right = first + torch.arange(len(own), device=own.device)
        return cross_entropy(own @ partners.T / self.temperature, right, reduction="none")

    def rows(self, result, batch):
        one, two = (None if vectors is None else vectors.double().tolist() for vectors in result.output)
        rows = [{"input": row["text"], "prediction": vector} for row, vector in zip(batch["@rows"].raw, one, strict=True)]
        return rows if two is None else [{**row, "reference": vector} for row, vector in zip(rows, two, strict=True)]

    def metrics(self):
        return {"retrieval": Retrieval()}
