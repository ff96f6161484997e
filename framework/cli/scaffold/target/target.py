"""A target on a logarithmic scale."""

import math
from typing import Any

from framework import Part, register

NumberTarget: Any = Part("target/number").cls  # the class of any option may be the base of another


@register("target")
class SpecimenTarget(NumberTarget):
    """A positive number (a price, a count), predicted on a logarithmic scale, so that a model errs by factors."""

    def logarithm(self, row) -> float:
        number = self.value(row)
        if number <= 0:
            raise ValueError(f"the label is {number}; it must be above 0")
        return math.log(number)

    def fit(self, rows) -> dict[str, Any]:
        """Statistics of the training rows, for the data spec."""
        return super().fit({**row, "label": self.logarithm(row)} for row in rows)

    def encode(self, row, spec) -> float:
        return super().encode({**row, "label": self.logarithm(row)}, spec)

    def predict(self, logits, spec) -> list[dict[str, Any]]:
        """A dict with `prediction` for each text, from its scores (B, 1)."""
        return [{"prediction": math.exp(min(row["prediction"], 700.0))} for row in super().predict(logits, spec)]

    def postprocessing(self, spec) -> dict[str, Any]:
        """Metadata that turns an exported score into a prediction: exp(mean + deviation * score)."""
        return {**super().postprocessing(spec), "exp": True}

    def builtin(self, split):
        """The rows of the base class, without those of other numbers."""
        return (row for row in super().builtin(split) if row["label"] > 0)
