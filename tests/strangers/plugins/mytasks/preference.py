"""Preferences: of two answers to a prompt one is chosen and one rejected."""

from random import Random

from torch.nn.functional import logsigmoid

from framework import (
    IGNORED,
    Average,
    Format,
    GenerationTask,
    Result,
    WithReference,
    choice,
    generated_row,
    log_figure,
    pad,
    pad_left,
    register,
    text_of,
)

NAMES = "Ada Bob Cleo Dan Eve Finn Gus Hal".split()


@register("format")
class PreferenceFormat(Format):
    """A prompt, the answer that was chosen and one that was rejected. Rafailov et al. 2023, section 3"""

    columns, optional = ("prompt", "chosen", "rejected"), ("chosen", "rejected")

    def encode(self, row, tokenizer, spec):
        prompt = [*tokenizer.encode(text_of(row, "prompt")), spec.begin]
        known = row.get("chosen") is not None
        answers = [tokenizer.encode(text_of(row, name)) + [spec.end] for name in ("chosen", "rejected")] if known else []
        if len(prompt) + max(map(len, answers), default=0) > spec.max_length + 1:
            raise ValueError(f"prompt and answer have more than the {spec.max_length + 1} tokens that the model takes")
        return {"prompt": prompt, "answers": answers}

    def length(self, features):
        return len(features["prompt"]) + max(map(len, features["answers"]), default=0)

    def collate(self, features, spec, random):
        """All chosen answers, then all rejected ones: (2 B, T)."""
        prompts = [list(row["prompt"]) for row in features]
        sides = zip(*(row["answers"] for row in features), strict=True)
        pairs = [(prompt, list(answer)) for side in sides for prompt, answer in zip(prompts, side, strict=True)]
        batch = {"prompts": prompts}
        if not pairs:
            return batch
        targets = [[IGNORED] * (len(prompt) - 1) + answer for prompt, answer in pairs]
        return {**batch, "ids": pad([prompt + answer[:-1] for prompt, answer in pairs], spec.padding), "targets": pad(targets, IGNORED)}

    def builtin(self, split, seed):
        random = Random(split)
        for _ in range(600 if split == "train" else 60):
            a, b = random.sample(NAMES, 2)
            bad = random.choice([f"Go away, {a}.", f"Thank you, {b}."])
            yield {"prompt": f"{a} gives a gift to {b}.", "chosen": f"Thank you, {a}.", "rejected": bad}


def answer_scores(model, batch):
    """Log-probabilities of the chosen and of the rejected answers: (B,) each."""
    scores = model.logits(model(batch["ids"])).log_softmax(-1)
    found = scores.gather(-1, batch["targets"].clamp(min=0)[..., None])[..., 0]
    return (found * (batch["targets"] != IGNORED)).sum(1).chunk(2)


@register("task")
class PreferenceTask(GenerationTask, WithReference):
    """Direct preference optimization. Rafailov et al. 2023, equation 7, https://arxiv.org/abs/2305.18290

    beta: the higher, the closer the model stays to the reference.
    """

    format, monitor, mode = choice("format", "preference"), "validation/preferred", "max"
    rules = {
        "'decoder' in provided and 'encoder' not in provided": "answers are written by a decoder: choose model=decoder_only",
        "reference is not None": "preferences are learned beside a reference: set task.reference=RUN, a trained decoder",
        "beta > 0": "beta must be positive",
    }

    def __init__(self, beta: float = 0.5, **options):
        super().__init__(**options)
        self.beta = beta

    def forward(self, batch):
        chosen, rejected = answer_scores(self.model, batch)
        with self.frozen_reference() as reference:
            other_chosen, other_rejected = answer_scores(reference.model, batch)
        margins = (chosen - other_chosen) - (rejected - other_rejected)
        log_figure("margin", margins.detach().mean())
        return Result.of(-logsigmoid(self.beta * margins), margins)

    def written(self, batch, decode, rows):
        device = next(self.parameters()).device
        prompt, mask = pad_left([batch["prompts"][row] for row in rows], self.spec.padding, device)
        return [generated_row(row) for row in decode(self.model, prompt, mask, longest=self.spec.max_length // 2)]

    def predict(self, batch, decode):
        return self.written(batch, decode, range(len(batch["prompts"])))

    def evaluate(self, batch, decode):
        result = self(batch)
        rows = [
            {"input": row["prompt"], "reference": row["chosen"], "margin": float(margin)}
            for row, margin in zip(batch["@rows"].raw, result.output, strict=True)
        ]
        if wanted := decode.wanted(batch["@rows"].numbers):
            for row, written in zip(wanted, self.written(batch, decode, wanted), strict=True):
                rows[row] |= written
        return result, rows

    def metrics(self):
        return {"preferred": Average()}

    def update(self, metrics, rows):
        metrics["preferred"].update([float(row["margin"] > 0) for row in rows])
