"""Grammar correction: a faulty sentence in, the right one out."""

from random import Random

from framework import PairFormat, RowAverage, SequenceToSequence, choice, register


@register("format")
class CorrectionFormat(PairFormat):
    """A sentence and its correction. Bryant et al. 2023, section 2

    long: truncate a text that is longer than the model takes, or refuse its row.
    """

    columns, optional = ("faulty", "correct"), ("correct",)

    def builtin(self, split, seed):
        random = Random(split)
        for _ in range(600 if split == "train" else 40):
            noun, verb, thing = (
                random.choice("dog king baker".split()),
                random.choice("see eat find".split()),
                random.choice("an egg|a bell".split("|")),
            )
            right = f"the {noun} {verb}s {thing}"
            yield {"faulty": right.replace(f"{verb}s", verb) if random.random() < 0.7 else right, "correct": right}


@register("task")
class CorrectionTask(SequenceToSequence):
    """Writes a sentence anew without its mistakes. Yuan and Briscoe 2016, https://aclanthology.org/N16-1042"""

    format, monitor, mode = choice("format", "correction"), "validation/exact_match", "max"

    def metrics(self):
        return {**super().metrics(), "exact_match": RowAverage(str.__eq__)}

    def baseline(self, data):
        same = [row["faulty"] == row["correct"] for row in data.test]
        return {"exact_match": sum(same) / len(same)}
