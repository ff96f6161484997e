"""Format of classification: a text and its target."""

from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import Any, ClassVar, Literal

from framework import Batch, DataSpec, FeatureRows, Features, Format, Part, Row, TextTokenizer, choice, register, stack_features, text_of

from . import label as default_target  # noqa: F401 - registers the default of the slot
from .target import Target, Words
from .words import features


@register("format")
class ClassificationFormat(Format):
    """A text and its target.

    long: truncate a text of more tokens than the model takes, or refuse it.
    unseen_labels: count labels that only validation or test rows have as errors of the model, or refuse them.
    target: reads the target of a row; the task's unless another is chosen.
    """

    columns: ClassVar[tuple[str, ...]] = ("text", "label")
    optional: ClassVar[tuple[str, ...]] = ("label",)
    label_columns: ClassVar[tuple[str, ...]] = ("label",)
    makes: ClassVar[tuple[str, ...]] = ("ids", "padding_mask", "label")
    text_columns: ClassVar[tuple[str, ...]] = ("text",)

    def __init__(
        self,
        long: Literal["truncate", "refuse"] = "truncate",
        unseen_labels: Literal["count", "refuse"] = "count",
        target: Part = choice("target", "label", follows="target"),
    ):
        self.long, self.unseen_labels = long, unseen_labels
        self.target: Target = target()

    def tokenizer_texts(self, row: Row) -> Iterable[str]:
        return [text_of(row, column) for column in self.text_columns]

    def fit(self, rows: Iterable[Row]) -> dict[str, Any]:
        return self.target.fit(rows)

    def row_labels(self, row: Row) -> Sequence[str]:
        return self.target.row_labels(row)

    def encode(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec) -> Features:
        """ids: begin, tokens, end, at most spec.max_length. truncated: 1 if the text was cut. label: if the row has one."""
        features = self.encode_text(row, tokenizer, spec)
        return features if row.get("label") is None else {**features, "label": self.target.encode(row, spec)}

    def encode_text(self, row: Row, tokenizer: TextTokenizer, spec: DataSpec) -> Features:
        begin = [] if spec.begin is None else [spec.begin]
        end = [] if spec.end is None else [spec.end]
        room = spec.max_length - len(begin) - len(end)
        tokens = tokenizer.encode(text_of(row), at_least=room + 1)
        if len(tokens) > room and self.long == "refuse":
            raise ValueError(
                f"the text has at least {len(tokens)} tokens, the model takes {room} (model.max_length={spec.max_length}); choose a larger "
                "model.max_length, or task.format.long=truncate"
            )
        ids = begin + tokens[:room] + end
        if not ids:
            raise ValueError("the text is empty")
        return {"ids": ids, "@truncated": len(tokens) > room}

    def collate(self, features: Sequence[Features], spec: DataSpec, random: Random) -> Batch:
        """ids, padding_mask (B, T), and label as `Target.collate` returns it."""
        rows = FeatureRows.of(features)
        batch = stack_features(rows.without("label"), spec.padding)
        if "label" in rows.names:
            batch["label"] = self.target.collate(rows.values("label"), spec)
        return batch

    def builtin(self, split: str, seed: int) -> Iterator[Row]:
        """The built-in rows of the target. The split does not depend on the seed."""
        return self.target.builtin(split)

    def words(self, row: Row) -> Words:
        """The features of a row for a baseline."""
        return features(text_of(row))
