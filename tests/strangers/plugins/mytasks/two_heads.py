"""One encoder, two heads: what a sentence is about, and what its words are."""

from random import Random

from torch import nn
from torch.nn.functional import cross_entropy

from framework import Average, Format, Result, Task, choice, register, texts_of

WORDS = {
    "animal": "cat dog cow hen".split(),
    "tool": "saw axe rake awl".split(),
    "verb": "sees wants hides".split(),
    "other": "the a one".split(),
}


@register("format")
class IntentFormat(Format):
    """Words, a slot for each, and an intent for all. Goo et al. 2018, section 2"""

    columns, optional = ("words", "slots", "intent"), ("slots", "intent")

    def tokenizer_texts(self, row):
        return texts_of(row, "words")

    def from_text(self, text):
        return {"words": text.split()}

    def fit(self, rows):
        slots, intents = set(), set()
        for row in rows:
            slots.update(row["slots"])
            intents.add(row["intent"])
        return {"labels": tuple(sorted(intents)), "slots": sorted(slots)}

    def encode(self, row, tokenizer, spec):
        words = texts_of(row, "words") if row["words"] else []
        known = row.get("intent") is not None
        slots = texts_of(row, "slots") if known else [None] * len(words)
        if not words or len(slots) != len(words):
            raise ValueError(f"there are {len(words)} words and {len(slots)} slots")
        ids, tags, heads = [spec.begin], [0], [0]
        for word, slot in zip(words, slots, strict=True):
            pieces = tokenizer.encode(word) or [spec.unknown or 0]
            ids += pieces
            tags += [0 if slot is None else 1 + spec.statistics["slots"].index(slot)] + [0] * (len(pieces) - 1)
            heads += [1] + [0] * (len(pieces) - 1)
        if len(ids) > spec.max_length:
            raise ValueError(f"{len(ids)} tokens are more than the model takes ({spec.max_length})")
        features = {"ids": ids, "heads": heads}
        return {**features, "tags": tags, "intent": spec.labels.index(row["intent"])} if known else features

    def builtin(self, split, seed):
        random = Random(split)
        for _ in range(600 if split == "train" else 60):
            kind = random.choice(["animal", "tool"])
            slots = ["other", "animal", "verb", "other", kind]
            yield {"words": [random.choice(WORDS[slot]) for slot in slots], "slots": slots, "intent": kind}


@register("task")
class TwoHeadsTask(Task):
    """Intents and slots, by two linear layers over one encoder. Goo et al. 2018, https://aclanthology.org/N18-2118

    slot_share: coefficient of the loss of the slots.
    """

    format, monitor, mode = choice("format", "intent"), "validation/intent_accuracy", "max"
    rules = {"'decoder' not in provided": "a text is read at once: choose model=encoder_only"}

    def __init__(self, slot_share: float = 1.0, **options):
        super().__init__(**options)
        self.slot_share = slot_share
        self.intent = nn.Linear(self.model.dim, len(self.spec.labels))
        self.slots = nn.Linear(self.model.dim, len(self.spec.statistics.get("slots", "ab")))

    def forward(self, batch):
        states = self.model(batch["ids"], padding_mask=batch["padding_mask"])
        intent, slots = self.intent(states[:, 0]), self.slots(states)
        if "intent" not in batch:
            return Result.of(intent.new_zeros(0), (intent, slots))
        result = Result.of(cross_entropy(intent, batch["intent"], reduction="none"), (intent, slots))
        losses = cross_entropy(slots.mT, batch["tags"] - 1, reduction="sum", ignore_index=-1)
        result.losses["slots"] = self.slot_share * losses, (batch["tags"] > 0).sum()
        return result

    def rows(self, result, batch):
        intent, slots = result.output
        rows = []
        for raw, best, tags, heads in zip(batch["@rows"].raw, intent.argmax(-1).tolist(), slots.argmax(-1), batch["heads"], strict=True):
            found = [self.spec.statistics["slots"][tag] for tag in tags[heads.bool()].tolist()]
            row = {"input": " ".join(raw["words"]), "reference": raw.get("intent"), "prediction": self.spec.labels[best]}
            rows.append({**row, "slots": found, "right_slots": raw.get("slots")})
        return rows

    def metrics(self):
        return {"intent_accuracy": Average(), "slot_accuracy": Average()}

    def update(self, metrics, rows):
        metrics["intent_accuracy"].update([float(row["prediction"] == row["reference"]) for row in rows])
        metrics["slot_accuracy"].update([float(a == b) for row in rows for a, b in zip(row["slots"], row["right_slots"], strict=True)])
